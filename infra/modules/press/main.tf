# The function that prints reports, for all pipelines of a deployment: another executable than that of all others. It is given a link
# to read data by and one to write the document by, and may do nothing itself.

locals {
  # Computed, so that the rights of those that invoke it are known before there is a function.
  arn = "arn:${var.account.partition}:lambda:${var.account.region}:${var.account.id}:function:${var.name}"
}

resource "aws_s3_object" "this" {
  #checkov:skip=CKV_AWS_186:it is encrypted as its bucket says, with the customer's key if there is one

  bucket = var.bucket
  # Named by what it holds, as the package of the other functions.
  key         = "press-${substr(filesha256(var.file), 0, 16)}.zip"
  source      = var.file
  source_hash = filesha256(var.file)

  # The function leaves the old one first.
  lifecycle {
    create_before_destroy = true
  }

  # The tags are on its bucket; tags of an object cost money.
  override_provider {
    default_tags {
      tags = {}
    }
  }
}

module "function" {
  source = "../function"

  name    = var.name
  account = var.account
  stage   = "press"
  package = {
    bucket = aws_s3_object.this.bucket
    key    = aws_s3_object.this.key
    hash   = filebase64sha256(var.file)
  }
  architecture = var.architecture
  # The largest document of docs/REPORTS.md takes 898 MB.
  memory  = 2048
  timeout = 120

  environment = { RUST_LOG = var.log_level }
  permissions = {}

  kms_key_arn        = var.kms_key_arn
  stores             = false
  log_retention_days = var.log_retention_days
}
