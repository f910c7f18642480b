variable "name" {
  description = "What every name begins with: the scope and the variant."
  type        = string
  nullable    = false
}

variable "variant" {
  description = "Variant of the pipeline, told to every function: sync and async list what is pending, dynamodb keeps it in a table."
  type        = string
  nullable    = false
}

variable "account" {
  description = "Where the pipeline lives: AWS partition, region and account id."
  type        = object({ partition = string, region = string, id = string })
  nullable    = false
}

variable "package" {
  description = "Path of the zip that holds the executable `bootstrap`, the same for all functions."
  type        = string
  nullable    = false
}

variable "architecture" {
  description = "Instruction set the binary was built for: x86_64 or arm64."
  type        = string
  nullable    = false
}

variable "memory" {
  description = "Memory of each stage's function in MB."
  type        = object({ scatter = number, process = number, gather = number })
  nullable    = false
}

variable "timeout" {
  description = "Timeout of each stage's function in seconds."
  type        = object({ scatter = number, process = number, gather = number })
  nullable    = false
}

variable "concurrency" {
  description = "Most chunks processed at the same time."
  type        = number
  nullable    = false
}

variable "batch_size" {
  description = "Most messages an invocation of process receives."
  type        = number
  nullable    = false
}

variable "chunk_size" {
  description = "Most records in a chunk."
  type        = number
  nullable    = false
}

variable "key_field" {
  description = "Field of a record that is the key of its item."
  type        = string
  nullable    = false
}

variable "record_schema" {
  description = "JSON Schema of a record: gzip, then base64."
  type        = string
  nullable    = false
}

variable "log_level" {
  description = "Filter of the functions' log lines."
  type        = string
  nullable    = false
}

variable "log_retention_days" {
  description = "Days the functions' logs are kept."
  type        = number
  nullable    = false
}

variable "protect_data" {
  description = "Whether tables and filled buckets withstand a destroy, and tables can be restored to a point in time."
  type        = bool
  nullable    = false
}
