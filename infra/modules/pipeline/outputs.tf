output "deployment" {
  description = "Names of the pipeline's buckets, tables and functions, and the URLs of its queues and dead-letter queues."
  value = {
    input_bucket       = aws_s3_bucket.this["input"].bucket
    work_bucket        = aws_s3_bucket.this["work"].bucket
    output_bucket      = aws_s3_bucket.this["output"].bucket
    items_table        = aws_dynamodb_table.items.name
    ledger_table       = aws_dynamodb_table.ledger.name
    tasks_table        = one(aws_dynamodb_table.tasks[*].name)
    queues             = { for stage, queue in module.queue : stage => queue.url }
    dead_letter_queues = { for stage, queue in module.queue : stage => queue.dead_letter_url }
    functions          = { for stage, function in module.function : stage => function.name }
  }
}

output "settings" {
  description = "What each stage's function runs with."
  value       = { for stage, function in module.function : stage => function.settings }
}

output "protected" {
  description = "Whether the tables withstand a destroy."
  value       = aws_dynamodb_table.items.deletion_protection_enabled && aws_dynamodb_table.ledger.deletion_protection_enabled && alltrue(aws_dynamodb_table.tasks[*].deletion_protection_enabled)
}
