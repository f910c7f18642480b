# Who may be told of ends of reports by a request of its own: read from the setting, for the rights that follow from it. The function
# reads the same text.

locals {
  given = try(jsondecode(var.text), null)
  # What is no object has neither of the lists.
  is_object = can(keys(local.given))
  strangers = setsubtract(try(keys(local.given), []), ["urls", "secrets"])

  # What is no text fits no pattern.
  urls    = try([for url in tolist(local.given.urls) : try(coalesce(tostring(url)), "(empty)")], [])
  secrets = try([for secret in tolist(local.given.secrets) : try(coalesce(tostring(secret)), "(empty)")], [])

  # A name and password before a host are never shown.
  port = ":([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
  url  = "^(https://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])|http://(127[.]0[.]0[.]1|localhost|\\[::1\\]))(${local.port})?/([!\"$->A-~]*/)?$"
  # What a server may read otherwise than it is written; src/model/reporting/webhook.rs refuses the same.
  strays     = "(?i)%2f|%5c|%25|;|\\\\|/([.]|%2e){1,2}/"
  urls_amiss = [for url in local.urls : replace(url, "/^.*@/", "…@") if !can(regex(local.url, url)) || can(regex(local.strays, url)) || length(url) > 2048]

  # The ARN of a secret may be followed by # and a member of it. What is no ARN may be a secret by mistake, and is never shown.
  sources = [for text in local.secrets : {
    arn       = split("#", text)[0]
    parameter = can(regex(var.patterns.parameter, text))
    secret    = can(regex(var.patterns.secret, split("#", text)[0])) && !endswith(text, "#")
  }]
  secrets_amiss = [for index, source in local.sources : tostring(index + 1) if !source.parameter && !source.secret]

  parameter_arns = distinct([for source in local.sources : source.arn if source.parameter])
  secret_arns    = distinct([for source in local.sources : source.arn if source.secret])
  elsewhere      = [for arn in concat(local.parameter_arns, local.secret_arns) : arn if split(":", arn)[3] != var.region]
}
