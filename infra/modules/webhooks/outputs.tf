output "webhooks" {
  description = "What the URLs begin with that may be told, and the ARNs of the parameters and secrets that requests are signed with."
  value = {
    urls           = local.urls
    parameter_arns = local.parameter_arns
    secret_arns    = local.secret_arns
  }

  # Not the text: somebody may have put a secret itself there.
  precondition {
    condition     = var.text == "" || local.is_object
    error_message = "${var.name}: webhooks is not a JSON object: give one such as {\"urls\": [\"https://example.com/hooks/\"], \"secrets\": [\"arn:aws:ssm:${var.region}:123456789012:parameter/hooks\"]}."
  }

  precondition {
    condition     = length(local.strangers) == 0
    error_message = "${var.name}: webhooks has what does not exist: ${join(", ", local.strangers)}. There is urls and secrets."
  }

  precondition {
    condition     = !local.is_object || (length(local.urls) >= 1 && length(local.urls) <= 20)
    error_message = "${var.name}: webhooks has no list of 1 to 20 urls: say what the URLs begin with that a report may name, as in {\"urls\": [\"https://example.com/hooks/\"], …}."
  }

  precondition {
    condition     = length(local.urls_amiss) == 0
    error_message = "${var.name}: webhooks has urls that cannot be taken: ${join(", ", local.urls_amiss)}. Begin each with https:// and a host, or on this machine with http://127.0.0.1, http://localhost or http://[::1], end it with /, and leave out ?, #, @, ;, \\, spaces, . and .. as a part, and %2F, %5C and %25, as in https://example.com/hooks/."
  }

  precondition {
    condition     = !local.is_object || (length(local.secrets) >= 1 && length(local.secrets) <= 3)
    error_message = "${var.name}: webhooks has no list of 1 to 3 secrets: say what requests are signed with, so that who gets them knows who sent them, as in {\"secrets\": [\"arn:aws:ssm:${var.region}:123456789012:parameter/hooks\"], …}."
  }

  precondition {
    condition     = length(local.secrets_amiss) == 0
    error_message = "${var.name}: webhooks has secrets that are not ARNs of a parameter or a secret: number ${join(", ", local.secrets_amiss)}. Give ARNs, as in arn:aws:ssm:${var.region}:123456789012:parameter/hooks or arn:aws:secretsmanager:${var.region}:123456789012:secret:hooks-AbC123, with the six characters at its end, and #member where the secret is an object."
  }

  precondition {
    condition     = length(local.elsewhere) == 0
    error_message = "${var.name}: webhooks has secrets of another region: ${join(", ", local.elsewhere)}. The functions are in ${var.region} and read nothing elsewhere: give the ARN of one there."
  }

  # Base64 turns 3 bytes into 4 characters. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
  precondition {
    condition     = length(base64encode(var.text)) <= 3336
    error_message = "${var.name}: webhooks takes more than 2500 bytes, which share the 4 KB of a function's environment: give fewer or shorter urls."
  }
}
