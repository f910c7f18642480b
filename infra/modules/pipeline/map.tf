# Where Step Functions runs the workers: a Distributed Map for each batch.

locals {
  machine_name = "${var.name}-chunks"
  # None or one; computed, so that no environment waits for the resource it names.
  machine_arns = [for fan_out in [var.parts.fanOut] : "arn:${var.account.partition}:states:${var.account.region}:${var.account.id}:stateMachine:${local.machine_name}" if fan_out == "map"]
  # Computed, because the functions wait for the state machine that runs one of them.
  process_arn = "arn:${var.account.partition}:lambda:${var.account.region}:${var.account.id}:function:${local.function_names["process"]}"
  # Scatter's trigger waits for its rights, and those for the state machine.
  run_map = { for machine in module.map[*].arn : "RunMap" => { actions = ["states:StartExecution"], resources = [machine] } }
}

module "map" {
  source = "../map"
  count  = length(local.machine_arns)

  name        = local.machine_name
  account     = var.account
  function    = { arn = local.process_arn, timeout = var.timeout.process }
  work_bucket = { name = local.bucket_names["work"], arn = local.buckets["work"] }
  queues = {
    process      = { arn = module.queue["process"].arn, url = module.queue["process"].url }
    dead_letters = { arn = module.queue["process"].dead_letter_arn, url = module.queue["process"].dead_letter_url }
    gather       = { arn = module.queue["gather"].arn, url = module.queue["gather"].url }
  }
  concurrency = var.concurrency.process
  kms_key_arn = var.kms_key_arn
}
