# The zip of the functions, uploaded once for all of them. Given a file, the provider would upload it for each
# function in turn, because it reads one file into memory at a time.

locals {
  arn = "arn:${var.account.partition}:s3:::${var.bucket}"
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:who may deploy reads and writes this bucket, and CloudTrail logs access where an account wants that
  #checkov:skip=CKV_AWS_21:Lambda keeps the code it runs; the zip is built anew from its sources
  #checkov:skip=CKV_AWS_144:the zip is built anew from its sources
  #checkov:skip=CKV2_AWS_62:nobody needs to know of a new zip but Lambda, which Terraform tells

  bucket        = var.bucket
  force_destroy = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.bucket

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }

    bucket_key_enabled = var.kms_key_arn != null
  }
}

# One after another, because S3 answers OperationAborted to overlapping changes of one bucket's access.

resource "aws_s3_bucket_public_access_block" "this" {
  bucket = aws_s3_bucket.this.bucket

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket_public_access_block.this.bucket

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.arn, "${local.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "RecentTlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.arn, "${local.arn}/*"]
        Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
      },
      ], [for key in var.kms_key_arn[*] : {
        Sid       = "OwnKeyOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.arn}/*"
        # Of an upload that names an encryption; without one, S3 takes the bucket's. A key that is not named does not equal
        # the bucket's: such an upload asks for S3's own key or for the account's.
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
        Condition = {
          Null            = { "s3:x-amz-server-side-encryption" = "false" }
          StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = key }
        }
    }])
  })
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket_policy.this.bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.bucket

  rule {
    id     = "abort-incomplete-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_object" "this" {
  #checkov:skip=CKV_AWS_186:it is encrypted as its bucket says, with the customer's key if there is one

  bucket = aws_s3_bucket_server_side_encryption_configuration.this.bucket
  # Named by what it holds, so that functions take the zip that was uploaded for them, whatever is written here meanwhile.
  key         = "bootstrap-${substr(filesha256(var.file), 0, 16)}.zip"
  source      = var.file
  source_hash = filesha256(var.file)

  # The functions leave the old one first.
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
