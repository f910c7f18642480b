//! Webhooks: who is told by a request that a report has ended, and which addresses a deployment may call.

use serde_json::Value;

use crate::model::processing::http::{Origin, SecretSource};

/// The longest address of a webhook, in bytes.
const LONGEST: usize = 2_048;
/// The most prefixes of addresses, and the most secrets.
const MOST_URLS: usize = 20;
const MOST_SECRETS: usize = 3;

/// An address that a request is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Where the connection goes.
    pub origin: Origin,
    /// Path and query.
    pub target: String,
}

/// What a server may read otherwise than it is written here: encoded slashes, backslashes and percent signs, and parameters of segments.
const AMBIGUOUS: [&str; 5] = ["%2f", "%5c", "%25", "\\", ";"];

/// Whether a path leads somewhere else than it begins, in any of the ways to write that.
fn strays(path: &str) -> bool {
    let plain = path.to_ascii_lowercase();
    let dots = plain.replace("%2e", ".");
    AMBIGUOUS.iter().any(|text| plain.contains(text))
        || dots.split('/').any(|segment| segment == "." || segment == "..")
}

impl Hook {
    /// Reads an address: `https`, or `http` of this computer.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<Self, String> {
        if url.len() > LONGEST {
            return Err(format!("has more than {LONGEST} bytes"));
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("has a character that has to be percent-encoded".to_owned());
        }
        let (origin, target) = Origin::parse(url)?;
        if !origin.tls && !origin.is_local() {
            return Err("must begin with https://".to_owned());
        }
        if target.contains('#') {
            return Err("must not have a fragment, which is sent to nobody".to_owned());
        }
        let path = target.split('?').next().unwrap_or_default();
        if strays(path) {
            return Err("must not have . or .. as a part of its path, nor \\ ; %2F %5C or %25 in it".to_owned());
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { origin, target })
    }
}

/// Which addresses a deployment may call, and the secrets that it signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhooks {
    /// What an address begins with that may be called.
    pub urls: Allowed,
    /// The secrets; each signs, so that a receiver can go over from one to the next.
    pub secrets: Vec<SecretSource>,
}

/// What addresses begin with that may be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed(Vec<Hook>);

impl Allowed {
    /// Reads what addresses begin with: each ends with a slash, so that no other host and no other folder begins like it.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn parse<T: AsRef<str>>(urls: &[T]) -> Result<Self, String> {
        let prefix = |url: &T| {
            let url = url.as_ref();
            let hook = Hook::parse(url).map_err(|what| format!("{url:?} {what}"))?;
            match url.ends_with('/') && !hook.target.contains('?') {
                true => Ok(hook),
                false => Err(format!("{url:?} must end with a slash")),
            }
        };
        urls.iter().map(prefix).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an address may be called.
    pub fn allow(&self, hook: &Hook) -> bool {
        self.0.iter().any(|begin| begin.origin == hook.origin && hook.target.starts_with(&begin.target))
    }
}

impl Webhooks {
    /// Reads `{"urls": […], "secrets": […]}`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let given: Value = serde_json::from_str(text).map_err(|e| format!("is not JSON: {e}"))?;
        let members = given.as_object().ok_or("must be an object with urls and secrets")?;
        if let Some(name) = members.keys().find(|name| !["urls", "secrets"].contains(&name.as_str())) {
            return Err(format!("has the member {name:?}; there is urls and secrets"));
        }
        let texts = |name: &str, most: usize| {
            let listed = members.get(name).and_then(Value::as_array).map(|listed| listed.iter().map(Value::as_str));
            let listed: Option<Vec<&str>> = listed.and_then(|listed| listed.collect());
            let fits = |listed: &Vec<&str>| (1..=most).contains(&listed.len());
            listed.filter(fits).ok_or_else(|| format!("must have {name}, a list of 1 to {most} texts"))
        };
        let (urls, secrets) = (texts("urls", MOST_URLS)?, texts("secrets", MOST_SECRETS)?);
        let secrets = secrets.into_iter().map(SecretSource::parse).collect::<Result<_, _>>();
        Ok(Self { urls: Allowed::parse(&urls)?, secrets: secrets.map_err(|what| format!("has a secret: {what}"))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_https_and_leads_where_it_says() {
        let hook = Hook::parse("https://Hooks.example.com/a/b?c=/../d").unwrap();
        assert_eq!((hook.origin.authority().as_str(), hook.target.as_str()), ("hooks.example.com", "/a/b?c=/../d"));
        assert_eq!(Hook::parse("https://a.example?x=1").unwrap().target, "/?x=1");
        assert!(Hook::parse("http://127.0.0.1:8080/").is_ok() && Hook::parse("http://[::1]/").is_ok());
        for (url, words) in [
            ("http://example.com/", "https://"),
            ("ftp://example.com/", "https://"),
            ("https://anna@example.com/", "a name and password"),
            ("https://example.com/a/../b", ". or .."),
            ("https://example.com/a/%2E%2e/b", ". or .."),
            ("https://example.com/.%2e", ". or .."),
            ("https://example.com/a\\..\\b", "nor \\ ;"),
            ("https://example.com/hooks/..%2fadmin", "%2F"),
            ("https://example.com/hooks/%2E%2e%2Fadmin", "%2F"),
            ("https://example.com/hooks/..%5cadmin", "%5C"),
            ("https://example.com/hooks/%252e%252e%252fadmin", "%25"),
            ("https://example.com/hooks/..;/admin", ";"),
            ("https://example.com/#a", "a fragment"),
            ("https://example.com/ü", "percent-encoded"),
            ("https://example.com/a b", "percent-encoded"),
            ("https://example.com/\r\nX: y", "percent-encoded"),
            ("https:///a", "is no host"),
        ] {
            let wrong = Hook::parse(url).unwrap_err();
            assert!(wrong.contains(words), "{url}: {wrong}");
        }
        assert!(Hook::parse(&format!("https://a.example/{}", "x".repeat(LONGEST))).is_err());
    }

    #[test]
    fn only_what_begins_with_an_allowed_address_may_be_called() {
        let allowed = Allowed::parse(&["https://example.com/hooks/", "https://other.example:8443/"]).unwrap();
        let may = |url: &str| allowed.allow(&Hook::parse(url).unwrap());
        for url in ["https://example.com/hooks/a", "https://EXAMPLE.com:443/hooks/?a", "https://other.example:8443/x"] {
            assert!(may(url), "{url}");
        }
        for url in [
            "https://example.com/hooks",
            "https://example.com/hooksx/a",
            "https://example.com.evil.example/hooks/a",
            "https://example.com:444/hooks/a",
            "https://other.example/x",
        ] {
            assert!(!may(url), "{url}");
        }
        assert!(!Allowed::default().allow(&Hook::parse("https://example.com/").unwrap()));
        for wrong in ["https://example.com", "https://example.com/a", "https://example.com/a?b/"] {
            assert!(Allowed::parse(&[wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_are_read_and_what_is_wrong_is_told() {
        let arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/hooks";
        let read = Webhooks::parse(&format!(r#"{{"urls":["https://a.example/"],"secrets":["{arn}"]}}"#)).unwrap();
        assert_eq!(read.secrets[0].arn, arn);
        for (text, words) in [
            ("[]", "must be an object"),
            ("{", "is not JSON"),
            (r#"{"urls":["https://a.example/"]}"#, "must have secrets"),
            (r#"{"urls":[],"secrets":["a"]}"#, "must have urls"),
            (r#"{"urls":["https://a.example/"],"secrets":["whsec_secret"]}"#, "must be the ARN"),
            (
                r#"{"urls":["https://a.example/x"],"secrets":["arn:aws:ssm:eu-west-1:123456789012:parameter/a"]}"#,
                "a slash",
            ),
            (r#"{"urls":["https://a.example/"],"secrets":["a"],"url":1}"#, "has the member \"url\""),
        ] {
            let wrong = Webhooks::parse(text).unwrap_err();
            assert!(wrong.contains(words) && !wrong.contains("whsec"), "{text}: {wrong}");
        }
    }
}
