# Lambda retries what an account's quota throttles, so that too small a quota delays batches and breaks none: it is worth
# a warning. If it cannot be read, that is one too:
# https://developer.hashicorp.com/terraform/language/checks

check "concurrency" {
  data "aws_servicequotas_service_quota" "this" {
    service_code = "lambda"
    quota_code   = "L-B99A9384" # concurrent executions, by region: https://docs.aws.amazon.com/general/latest/gr/lambda-service.html
  }

  # New accounts have less than 1,000: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
  assert {
    condition     = data.aws_servicequotas_service_quota.this.value >= var.concurrency
    error_message = "These pipelines run up to ${var.concurrency} functions at the same time, and the account allows ${data.aws_servicequotas_service_quota.this.value} in this region, all others included. Beyond that they wait for each other, and batches take longer. Ask for more, as in `aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value ${max(1000, var.concurrency)}`, or deploy with smaller values of concurrency (TF_VAR_concurrency) and scatter_concurrency (SCATTER_CONCURRENCY)."
  }
}
