variable "concurrency" {
  description = "Most functions that run at the same time."
  type        = number
  nullable    = false
}
