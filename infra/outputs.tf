output "deployment" {
  description = "What a client needs to know: region, key field, the parameters that measurements depend on, and for each variant its buckets, tables, queue URLs, functions and alarm topic."
  value = {
    region    = local.account.region
    key_field = var.key_field
    parameters = {
      chunk_size  = var.chunk_size
      concurrency = var.concurrency
      memory_mb   = var.memory.process
    }
    variants = { for variant, pipeline in module.pipeline : variant => pipeline.deployment }
  }
}
