output "concurrency" {
  description = "What the quota is compared with."
  value       = var.concurrency
}
