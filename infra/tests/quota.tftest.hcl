mock_provider "aws" {
  mock_data "aws_servicequotas_service_quota" {
    defaults = { value = 50 }
  }
}

run "enough" {
  command = plan

  module {
    source = "./modules/quota"
  }

  variables {
    concurrency = 50
  }
}

run "not_enough" {
  command = plan

  module {
    source = "./modules/quota"
  }

  variables {
    concurrency = 51
  }

  expect_failures = [check.concurrency]
}
