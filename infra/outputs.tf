output "deployment" {
  description = "What a client needs to know: the region, and of each pipeline its variant, the parameters that measurements depend on, its definition as it was asked for (a schema as its text), and its buckets, tables, queue URLs, functions, topics, mapping, and a policy for those who upload files; where the API is, and its events for callers that IAM lets in, or null; the function that prints reports, or null; and where clients connect who wait for reports, with the table of them, or null."
  value = {
    region = local.account.region
    pipelines = { for name, pipeline in local.described : name => merge(pipeline, {
      definition      = local.definitions[name]
      uploader_policy = module.pipeline[name].uploader_policy
    }) }
    api     = var.api ? merge(module.api[0].api, { events = one(module.events[*].url) }) : null
    press   = one(module.press[*].name)
    sockets = one(module.sockets[*].sockets)
  }
}

output "settings" {
  description = "The values of the variables that `given` names (a schema as its text), so that the next deployment can keep them."
  value       = { for name, value in local.settings : name => value if contains(var.given, name) }
}
