output "name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "arn" {
  description = "ARN of the function. Who uses it waits until the function may do what it does."
  value       = aws_lambda_function.this.arn
  depends_on  = [aws_iam_role_policy.this]
}

output "role" {
  description = "Name of the function's role."
  value       = aws_iam_role.this.name
}

output "mappings" {
  description = "UUIDs of the mappings that feed the function, by the names of its triggers."
  value       = { for name, trigger in aws_lambda_event_source_mapping.this : name => trigger.uuid }
}

output "policy" {
  description = "Inline policy of the function's role, as JSON."
  value       = aws_iam_role_policy.this.policy
}

output "settings" {
  description = "What the function runs with: handler, architecture, timeout, memory, environment, triggers, the stream that feeds it (null if none does) and log retention."
  value = {
    handler      = aws_lambda_function.this.handler
    architecture = one(aws_lambda_function.this.architectures)
    timeout      = aws_lambda_function.this.timeout
    memory       = aws_lambda_function.this.memory_size
    environment  = aws_lambda_function.this.environment[0].variables
    triggers = { for name, trigger in aws_lambda_event_source_mapping.this : name => {
      queue_arn           = trigger.event_source_arn
      batch_size          = trigger.batch_size
      maximum_concurrency = one(trigger.scaling_config[*].maximum_concurrency)
    } }
    stream = one([for stream in aws_lambda_event_source_mapping.stream : {
      arn               = stream.event_source_arn
      batch_size        = stream.batch_size
      parallelization   = stream.parallelization_factor
      pattern           = one(one(stream.filter_criteria).filter).pattern
      starting_position = stream.starting_position
      attempts          = stream.maximum_retry_attempts
      age               = stream.maximum_record_age_in_seconds
      bisects           = stream.bisect_batch_on_function_error
      window            = stream.maximum_batching_window_in_seconds
      reports           = stream.function_response_types
    }])
    log_retention_days = aws_cloudwatch_log_group.this.retention_in_days
  }
}
