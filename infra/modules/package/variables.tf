variable "bucket" {
  description = "Name of the bucket."
  type        = string
  nullable    = false
}

variable "account" {
  description = "Where the bucket lives: AWS partition, region and account id."
  type        = object({ partition = string, region = string, id = string })
  nullable    = false
}

variable "file" {
  description = "Path of the zip."
  type        = string
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the key that encrypts the zip; null for S3's own."
  type        = string
  default     = null
}
