output "deployment" {
  description = "What a client needs to know: region, key field, and for each variant its buckets, tables, queue URLs and functions."
  value = {
    region    = local.account.region
    key_field = var.key_field
    variants  = { for variant, pipeline in module.pipeline : variant => pipeline.deployment }
  }
}
