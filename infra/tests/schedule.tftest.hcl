mock_provider "aws" {
  # The provider checks the form of the ARN given to a permission.
  mock_resource "aws_cloudwatch_event_rule" {
    defaults        = { arn = "arn:aws:events:eu-central-1:123456789012:rule/anna-chunked-sweep" }
    override_during = plan
  }
}

variables {
  function_name = "anna-chunked-sweep"
  function_arn  = "arn:aws:lambda:eu-central-1:123456789012:function:anna-chunked-sweep"
  rate          = "rate(1 minute)"
}

run "schedule" {
  command = plan

  module {
    source = "./modules/schedule"
  }

  assert {
    condition     = aws_cloudwatch_event_rule.this.name == "anna-chunked-sweep" && aws_cloudwatch_event_rule.this.schedule_expression == "rate(1 minute)"
    error_message = "the rule fires at the rate given"
  }

  assert {
    condition     = aws_cloudwatch_event_target.this.rule == "anna-chunked-sweep" && aws_cloudwatch_event_target.this.arn == var.function_arn
    error_message = "the rule's target is the function"
  }

  assert {
    condition     = aws_lambda_permission.this.principal == "events.amazonaws.com" && aws_lambda_permission.this.action == "lambda:InvokeFunction" && aws_lambda_permission.this.function_name == "anna-chunked-sweep" && aws_lambda_permission.this.source_arn == "arn:aws:events:eu-central-1:123456789012:rule/anna-chunked-sweep"
    error_message = "this rule and no other may invoke the function"
  }

  assert {
    condition = [
      aws_cloudwatch_event_target.this.retry_policy[0].maximum_retry_attempts, aws_cloudwatch_event_target.this.retry_policy[0].maximum_event_age_in_seconds,
      aws_lambda_function_event_invoke_config.this.maximum_retry_attempts, aws_lambda_function_event_invoke_config.this.maximum_event_age_in_seconds,
    ] == [0, 60, 0, 60]
    error_message = "neither EventBridge nor Lambda retries what the next minute does anyway"
  }
}
