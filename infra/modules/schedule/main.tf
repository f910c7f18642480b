resource "aws_cloudwatch_event_rule" "this" {
  name                = var.function_name
  description         = "Invokes ${var.function_name} at a fixed rate."
  schedule_expression = var.rate
}

# The next invocation is the retry of one that could not be delivered or that failed. 60 s is the minimum for both.
resource "aws_cloudwatch_event_target" "this" {
  rule = aws_cloudwatch_event_rule.this.name
  arn  = var.function_arn

  retry_policy {
    maximum_event_age_in_seconds = 60
    maximum_retry_attempts       = 0
  }

  # A rule whose function refuses its events drops them.
  depends_on = [aws_lambda_permission.this]
}

resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = var.function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
}

# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-lambda-permissions
resource "aws_lambda_permission" "this" {
  statement_id  = "schedule"
  function_name = var.function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.this.arn
}
