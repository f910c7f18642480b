mock_provider "aws" {}

variables {
  bucket  = "anna-package-123456789012"
  account = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  file    = "./own_attributes.json" # any file: the provider is a mock
}

run "package" {
  command = plan

  module {
    source = "./modules/package"
  }

  assert {
    condition = output.package == {
      bucket = "anna-package-123456789012"
      key    = "bootstrap-${substr(filesha256("./own_attributes.json"), 0, 16)}.zip"
      hash   = filebase64sha256("./own_attributes.json")
    }
    error_message = "the zip is named by what it holds, and another one by something else"
  }

  assert {
    condition     = [for statement in jsondecode(output.policy).Statement : statement.Sid] == ["TlsOnly", "RecentTlsOnly"]
    error_message = "the bucket refuses requests without TLS or by an old one"
  }
}

run "encrypted_with_a_key" {
  command = plan

  module {
    source = "./modules/package"
  }

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = [for statement in jsondecode(output.policy).Statement : statement.Condition.StringNotEquals if statement.Sid == "OwnKeyOnly"] == [{ "s3:x-amz-server-side-encryption-aws-kms-key-id" = var.kms_key_arn }]
    error_message = "no upload may name another key"
  }
}
