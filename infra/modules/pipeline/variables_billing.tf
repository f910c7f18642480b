variable "billed" {
  description = "The tables of each pipeline of the deployment that closes half months: of events, of packages, of what was used by days, and of the terms of clients, which are the items of another pipeline; and the key field of those, null if there is no such pipeline."
  type        = map(object({ events = string, packages = string, aggregates = string, clients = string, clients_of = string, clients_key = string }))
  default     = {}
  nullable    = false

  validation {
    condition     = local.meters == null ? true : contains(keys(var.billed), local.meters.billed_by)
    error_message = "${var.name}: processors has meter with billed_by \"${try(local.meters.billed_by, "")}\", which is no pipeline of this deployment with the processor bill: ${length(var.billed) > 0 ? "there is ${join(", ", keys(var.billed))}" : "none has it"}."
  }

  validation {
    condition     = local.bills == null ? true : try(var.billed[coalesce(var.pipeline, var.name)].clients_key, null) == "client"
    error_message = "${var.name}: processors has bill with clients_of \"${try(local.bills.clients_of, "")}\", which is no pipeline of this deployment with processors [\"terms\", \"items\"] and key_field \"client\": the terms of clients are checked, and found by that. Define one."
  }
}
