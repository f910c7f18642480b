output "deployment" {
  description = "What a client needs to know: the region, and of each pipeline its variant, the parameters that measurements depend on, its definition as it was asked for (a schema as its text), and its buckets, tables, queue URLs, functions, alarm topic, and a policy for those who upload files."
  value = {
    region = local.account.region
    pipelines = { for name, pipeline in module.pipeline : name => merge(pipeline.deployment, {
      variant = local.pipelines[name].variant
      parameters = {
        key_field    = local.pipelines[name].key_field
        chunk_size   = local.pipelines[name].chunk_size
        format       = local.pipelines[name].format
        input_prefix = local.pipelines[name].input_prefix
        input_suffix = local.pipelines[name].input_suffix
        processors   = local.pipelines[name].processors
        concurrency  = var.concurrency
        memory_mb    = var.memory.process
      }
      definition      = local.definitions[name]
      uploader_policy = pipeline.uploader_policy
    }) }
  }
}

output "settings" {
  description = "The values of the variables that `given` names (a schema as its text), so that the next deployment can keep them."
  value       = { for name, value in local.settings : name => value if contains(var.given, name) }
}
