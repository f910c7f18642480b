//! The name of a Lambda function.

/// A Lambda function by its ARN: `arn:aws:lambda:{region}:{account}:function:{name}`, perhaps with `:{alias or
/// version}`
/// (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html#awslambda-resources-for-iam-policies>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionArn {
    text: String,
    /// The partition, such as `aws` or `aws-cn`.
    pub partition: String,
    /// The region.
    pub region: String,
    /// The account: twelve digits.
    pub account: String,
}

/// What an ARN looks like, for messages.
pub const EXAMPLE: &str = "arn:aws:lambda:eu-central-1:123456789012:function:NAME";

impl FunctionArn {
    /// Reads an ARN.
    ///
    /// # Errors
    /// Why it is none, in words that say what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let (arn, qualifier) = match parts.as_slice() {
            [front @ .., qualifier] if front.len() == 7 => (front, Some(*qualifier)),
            all => (all, None),
        };
        let &["arn", partition, "lambda", region, account, "function", name] = arn else {
            return Err(refused(text));
        };
        let fits = partition.starts_with("aws")
            && plain(partition, 20)
            && region.contains('-')
            && plain(region, 30)
            && account.len() == 12
            && account.bytes().all(|digit| digit.is_ascii_digit())
            && plain(name, 140)
            && qualifier.is_none_or(|it| it.starts_with("$LATEST") || plain(it, 128));
        if !fits {
            return Err(refused(text));
        }
        let own = |part: &str| part.to_owned();
        Ok(Self { text: own(text), partition: own(partition), region: own(region), account: own(account) })
    }

    /// The ARN as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Display for FunctionArn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Letters, digits, hyphens and underscores, at least one.
fn plain(text: &str, most: usize) -> bool {
    !text.is_empty()
        && text.len() <= most
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
}

fn refused(text: &str) -> String {
    let is = if text.contains("://") {
        "a URL"
    } else if text.starts_with("arn:") {
        "an ARN, but of no Lambda function"
    } else if plain(text, 140) {
        "a name"
    } else {
        "no ARN"
    };
    format!("function_arn is {text:?}, {is}; write the function's ARN, such as {EXAMPLE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_read_with_and_without_a_qualifier() {
        for text in [
            "arn:aws:lambda:eu-central-1:123456789012:function:enrich",
            "arn:aws:lambda:eu-central-1:123456789012:function:enrich:live",
            "arn:aws:lambda:eu-central-1:123456789012:function:enrich:42",
            "arn:aws:lambda:eu-central-1:123456789012:function:enrich:$LATEST",
        ] {
            let arn = FunctionArn::parse(text).unwrap();
            assert_eq!((arn.partition.as_str(), arn.region.as_str()), ("aws", "eu-central-1"));
            assert_eq!((arn.account.as_str(), arn.as_str(), arn.to_string().as_str()), ("123456789012", text, text));
        }
        let arn = FunctionArn::parse("arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:a_b-c").unwrap();
        assert_eq!((arn.partition.as_str(), arn.region.as_str()), ("aws-us-gov", "us-gov-west-1"));
    }

    #[test]
    fn what_is_none_is_refused_with_what_it_is() {
        for (text, is) in [
            ("enrich", "a name"),
            ("https://abc.lambda-url.eu-central-1.on.aws/", "a URL"),
            ("arn:aws:sqs:eu-central-1:123456789012:queue", "of no Lambda function"),
            ("arn:aws:lambda:eu-central-1:123456789012:layer:enrich", "of no Lambda function"),
            ("arn:aws:lambda::123456789012:function:enrich", "of no Lambda function"),
            ("arn:aws:lambda:eu-central-1:1234:function:enrich", "of no Lambda function"),
            ("arn:aws:lambda:eu-central-1:123456789012:function:", "of no Lambda function"),
            ("arn:aws:lambda:eu-central-1:123456789012:function:a:b:c", "of no Lambda function"),
            ("arn:aws:lambda:eu-central-1:123456789012:function:*", "of no Lambda function"),
            ("123456789012:function:enrich", "no ARN"),
            ("", "no ARN"),
        ] {
            let told = FunctionArn::parse(text).unwrap_err();
            assert!(told.contains(is) && told.ends_with(EXAMPLE), "{text}: {told}");
        }
    }
}
