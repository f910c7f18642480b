# What a function may do with all pipelines of a deployment, in as few policies as hold it.

locals {
  # A managed policy has up to 6,144 characters, and a role up to ten of them; inline policies have 10,240 characters in all, which
  # ten pipelines exceed: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
  groups = chunklist(sort(keys(var.permissions)), 3)
  statements = [for group in local.groups : [for sid in distinct(flatten([for name in group : keys(var.permissions[name])])) : {
    Sid      = sid
    Effect   = "Allow"
    Action   = distinct(flatten([for name in group : var.permissions[name][sid].actions if contains(keys(var.permissions[name]), sid)]))
    Resource = flatten([for name in group : var.permissions[name][sid].resources if contains(keys(var.permissions[name]), sid)])
  }]]
}

resource "aws_iam_policy" "this" {
  count = length(local.groups)

  name        = "${var.name}-${count.index + 1}"
  description = "What ${var.name} may do with ${join(", ", local.groups[count.index])}."
  policy      = jsonencode({ Version = "2012-10-17", Statement = local.statements[count.index] })
}

resource "aws_iam_role_policy_attachment" "this" {
  count = length(local.groups)

  role       = var.role
  policy_arn = aws_iam_policy.this[count.index].arn
}
