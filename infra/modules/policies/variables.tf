variable "name" {
  description = "What the names of the policies begin with: that of the function."
  type        = string
  nullable    = false
}

variable "role" {
  description = "Name of the function's role."
  type        = string
  nullable    = false
}

variable "permissions" {
  description = "What the function may do with each pipeline: by its name, and by statement id, actions on resources."
  type        = map(map(object({ actions = list(string), resources = list(string) })))
  nullable    = false
}
