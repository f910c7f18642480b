output "package" {
  description = "Where functions find the zip, and the hash of what is in it. Who uses it waits until it is there."
  value = {
    bucket = aws_s3_object.this.bucket
    key    = aws_s3_object.this.key
    hash   = filebase64sha256(var.file)
  }
}

output "policy" {
  description = "Resource policy of the bucket, as JSON."
  value       = aws_s3_bucket_policy.this.policy
}
