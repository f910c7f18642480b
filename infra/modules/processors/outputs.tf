output "processors" {
  description = "Whether it is what the functions do without being told; the ARNs of the function that is invoked and of the parameters and secrets that are read; whether records become items, and whether they are counted; of which pipeline's counters, and of which of their sums, parts of reports are made (null if of none), by which pipeline events are billed that it keeps (or null), of which pipeline the terms of clients are whose half months it closes and whether packages are sent (or null), and whether anything may answer such parts; whether answers are kept between tries, since repeating what gave them is not harmless or not cheap."
  value = {
    default        = jsonencode(local.entries) == jsonencode(["items"])
    function_arns  = local.function_arns
    parameter_arns = local.parameter_arns
    secret_arns    = local.secret_arns
    items          = contains(local.names, "items")
    aggregate      = contains(local.names, "aggregate")
    usage          = try({ counters_of = tostring(local.usages[0].counters_of), sum = [for field in lookup(local.usages[0], "sum", []) : tostring(field)] }, null)
    meter          = try({ billed_by = tostring(local.meters[0].billed_by) }, null)
    bill           = try({ clients_of = tostring(local.bills[0].clients_of), sends = length(local.invoices) > 0 }, null)
    # With another contract, a function answers without an item.
    answers_parts = contains(local.names, "usage") || contains(local.contracts, "fanfold")
    keeps_answers = length(local.called) > 0
  }

  precondition {
    condition     = length(local.entries) > 0 && length(local.names) == length(local.entries)
    error_message = "${var.name}: processors is not a JSON list of processors: give one with at least one entry, each a name or an object with a name, as in [\"items\"] or [{\"invoke\": {\"function_arn\": \"…\"}}]."
  }

  precondition {
    condition     = length(setsubtract(local.names, local.known.processors)) == 0
    error_message = "${var.name}: processors names what does not exist: ${join(", ", setsubtract(local.names, local.known.processors))}. There is ${join(", ", local.known.processors)}."
  }

  precondition {
    condition     = length(local.called) <= 1
    error_message = "${var.name}: processors has ${join(" and ", local.called)}, but a record can be given to one of bill, custom, http, invoke, meter, terms and usage only: leave the others out. items and aggregate store what succeeds and can stand beside it."
  }

  precondition {
    condition     = length(setsubtract(local.contracts, local.known.contracts)) == 0
    error_message = "${var.name}: processors has a contract that does not exist: ${join(", ", setsubtract(local.contracts, local.known.contracts))}. There is ${join(", ", local.known.contracts)}."
  }

  precondition {
    condition     = alltrue([for arn in local.function_arns : can(regex(local.function_arn, arn))])
    error_message = "${var.name}: processors has no function to invoke: function_arn is \"${join(", ", local.function_arns)}\". Give the whole ARN of a function, of a version or of an alias, as in arn:aws:lambda:${var.region}:123456789012:function:check:live."
  }

  precondition {
    condition     = alltrue([for of in local.http : try(tostring(of.url) != "", false)])
    error_message = "${var.name}: processors has http without a url: say where records are sent, as in {\"http\": {\"url\": \"https://api.example.com/orders\"}}."
  }

  precondition {
    condition     = alltrue([for of in local.usages : try(tostring(of.counters_of) != "" && alltrue([for field in lookup(of, "sum", []) : tostring(field) != ""]), false)])
    error_message = "${var.name}: processors has usage that does not say of what: counters_of names the pipeline whose counters are read, and sum lists fields that it sums, as in {\"usage\": {\"counters_of\": \"metering\", \"sum\": [\"kwh\"]}}."
  }

  precondition {
    condition     = alltrue([for of in local.meters : try(tostring(of.billed_by) != "", false)])
    error_message = "${var.name}: processors has meter that does not say where: billed_by names the pipeline that closes half months, as in {\"meter\": {\"billed_by\": \"billing\"}}."
  }

  precondition {
    condition     = alltrue([for of in local.bills : try(tostring(of.clients_of) != "", false)])
    error_message = "${var.name}: processors has bill that does not say whom: clients_of names the pipeline whose items are the terms of clients, as in {\"bill\": {\"clients_of\": \"clients\"}}."
  }

  precondition {
    condition     = alltrue([for of in local.invoices : try(tostring(of.url) != "", false)])
    error_message = "${var.name}: processors has bill with invoices without a url: say where packages are sent, as in {\"url\": \"https://api.example.com/invoices\", …}."
  }

  precondition {
    condition     = length(local.secrets_amiss) == 0
    error_message = "${var.name}: processors has secrets that are not ARNs of a parameter or a secret: ${join(", ", local.secrets_amiss)}. Give ARNs, as in arn:aws:ssm:${var.region}:123456789012:parameter/token or arn:aws:secretsmanager:${var.region}:123456789012:secret:token-AbC123, with the six characters at its end, and #member where the secret is an object."
  }

  precondition {
    condition     = length(local.elsewhere) == 0
    error_message = "${var.name}: processors names what is in another region: ${join(", ", local.elsewhere)}. The functions are in ${var.region} and call nothing elsewhere: give the ARN of one there."
  }

  precondition {
    condition     = alltrue([for many in local.group_bys : many > 0]) && length(local.group_bys) >= length(local.aggregates)
    error_message = "${var.name}: processors has aggregate without group_by: name the fields whose values make a group, as in {\"aggregate\": {\"group_by\": [\"client\"], \"sum\": [\"quantity\"]}}."
  }
}

output "patterns" {
  description = "What the ARN of a parameter and that of a secret look like, for others who read such."
  value       = { parameter = local.parameter_arn, secret = local.secret_arn }
}
