# What a pipeline does with its records: read from the setting, for the rights and resources that follow from it. The
# functions read the same text with all of its fields (src/model/processing), and `fanfold check` does before a plan.

locals {
  # The same names as in the code; a test compares them.
  known = jsondecode(file("${path.module}/../../processors.json"))

  # A single name needs no quotes.
  json    = contains(local.known.processors, trimspace(var.text)) ? jsonencode(trimspace(var.text)) : var.text
  entries = flatten([try(jsondecode(local.json), [])])

  # Each entry as a name and what belongs to it. What is neither a name nor an object with one has the name null.
  named = [for entry in local.entries : try(
    { name = tostring(entry), of = null },
    { name = one(keys(entry)), of = one(values(entry)) },
    { name = null, of = null },
  )]
  names      = [for each in local.named : each.name if each.name != null]
  invoke     = [for each in local.named : each.of if each.name == "invoke"]
  http       = [for each in local.named : each.of if each.name == "http"]
  usages     = [for each in local.named : each.of if each.name == "usage"]
  meters     = [for each in local.named : each.of if each.name == "meter"]
  bills      = [for each in local.named : each.of if each.name == "bill"]
  invoices   = [for of in local.bills : of.invoices if can(keys(of.invoices))]
  aggregates = [for each in local.named : each.of if each.name == "aggregate"]

  # Those that are called for each record; the others store what succeeds.
  called = [for name in local.names : name if contains(["bill", "custom", "http", "invoke", "meter", "terms", "usage"], name)]

  contracts     = [for of in local.invoke : try(tostring(of.contract), "sqs")]
  function_arns = [for of in local.invoke : try(tostring(of.function_arn), "")]
  group_bys     = [for each in flatten([local.aggregates]) : try(length(each.group_by), 0)]

  # No character that means more in a policy than itself.
  function_arn  = "^arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]+(:([$]LATEST|[A-Za-z0-9_-]+))?$"
  parameter_arn = "^arn:[a-z-]+:ssm:[a-z0-9-]+:[0-9]{12}:parameter/[A-Za-z0-9_./-]+$"
  secret_arn    = "^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$"

  # By their names, of all that are given; the ARN may be followed by # and a member of the secret. What is no ARN may be a
  # secret by mistake, and is never shown.
  calls   = concat(local.http, local.invoices)
  secrets = merge([for of in local.calls : try({ for name, source in of.secrets : name => split("#", source)[0] }, {})]...)
  secrets_amiss = concat(
    [for name, arn in local.secrets : name if !can(regex(local.parameter_arn, arn)) && !can(regex(local.secret_arn, arn))],
    [for of in local.calls : "all of them" if try(of.secrets, null) != null && !can({ for name, source in of.secrets : name => split("#", source)[0] })],
  )
  parameter_arns = distinct([for arn in values(local.secrets) : arn if can(regex(local.parameter_arn, arn))])
  secret_arns    = distinct([for arn in values(local.secrets) : arn if can(regex(local.secret_arn, arn))])

  elsewhere = [for arn in concat(local.function_arns, local.parameter_arns, local.secret_arns) : arn if try(split(":", arn)[3] != var.region, false)]
}
