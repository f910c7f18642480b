# Who may be told of ends of reports by a request of its own: what of the setting is taken, and what is refused.

variables {
  name     = "anna-monthly"
  region   = "eu-central-1"
  patterns = { parameter = "^arn:aws:ssm:[a-z0-9-]+:[0-9]{12}:parameter/[a-z]+$", secret = "^arn:aws:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[a-z]+-[A-Za-z0-9]{6}$" }
}

run "none" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = ""
  }

  assert {
    condition     = length(output.webhooks.urls) == 0 && length(output.webhooks.parameter_arns) == 0 && length(output.webhooks.secret_arns) == 0
    error_message = "an empty text allows nothing"
  }
}

run "what_the_rules_allow" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({
      urls    = ["https://example.com/", "https://hooks.example.com:8443/a/b/", "https://[2001:db8::1]/", "http://127.0.0.1:9000/hooks/", "http://localhost/", "http://[::1]:80/"]
      secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:hooks-AbC123#new", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:hooks-AbC123#old"]
    })
  }

  assert {
    condition     = join(" ", output.webhooks.urls) == "https://example.com/ https://hooks.example.com:8443/a/b/ https://[2001:db8::1]/ http://127.0.0.1:9000/hooks/ http://localhost/ http://[::1]:80/"
    error_message = "URLs are hosts with folders, by HTTPS, or on this machine by HTTP"
  }

  assert {
    condition     = join(" ", output.webhooks.parameter_arns) == "arn:aws:ssm:eu-central-1:123456789012:parameter/hooks" && join(" ", output.webhooks.secret_arns) == "arn:aws:secretsmanager:eu-central-1:123456789012:secret:hooks-AbC123"
    error_message = "two members of one secret are read by one right"
  }
}

run "as_many_as_there_may_be" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = [for index in range(20) : "https://example.com/${index}/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  assert {
    condition     = length(output.webhooks.urls) == 20
    error_message = "twenty URLs are taken"
  }
}

run "rejects_what_is_no_json" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = "https://example.com/hooks/"
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_list" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = "[\"https://example.com/hooks/\"]"
  }

  expect_failures = [output.webhooks]
}

run "rejects_another_member" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/hooks/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"], headers = {} })
  }

  expect_failures = [output.webhooks]
}

run "rejects_no_urls" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_an_empty_list_of_urls" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = [], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_urls_that_are_no_list" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = { a = "https://example.com/hooks/" }, secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_too_many_urls" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = [for index in range(21) : "https://example.com/${index}/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_url_without_tls" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["http://example.com/hooks/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_host_that_only_begins_like_this_machine" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["http://localhost.example.com/hooks/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_url_without_a_host" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https:///hooks/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_url_that_does_not_end_a_folder" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/hooks"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_host_that_could_go_on" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_path_that_climbs" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/hooks/%2E./"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_path_that_servers_read_in_different_ways" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/hooks/..%2fadmin/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_what_is_not_encoded" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/hööks/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_no_port" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com:65536/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_query" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/hooks?to=/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_fragment" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/#/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_name_and_password" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://anna:pw@example.com/hooks/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_sign_that_could_begin_a_host" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/@other.example/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_an_empty_url" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = [""], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_no_secrets" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/hooks/"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_an_empty_list_of_secrets" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/hooks/"], secrets = [] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_too_many_secrets" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/hooks/"], secrets = [for index in range(4) : "arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_secret_itself" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/hooks/"], secrets = ["whsec_0123456789"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_member_of_a_parameter" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/hooks/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks#new"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_member_without_a_name" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/hooks/"], secrets = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:hooks-AbC123#"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_a_secret_of_another_region" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = ["https://example.com/hooks/"], secrets = ["arn:aws:ssm:us-east-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}

run "rejects_more_than_an_environment_holds" {
  command = plan

  module {
    source = "./modules/webhooks"
  }

  variables {
    text = jsonencode({ urls = [for index in range(20) : "https://example.com/${join("", [for sign in range(120) : "a"])}/"], secrets = ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"] })
  }

  expect_failures = [output.webhooks]
}
