//! Secrets: where they are kept, and their values.

use std::collections::BTreeMap;

use super::percent::encoded;

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretSource {
    /// The ARN of a parameter of SSM or of a secret of Secrets Manager.
    pub arn: String,
    /// The member of the JSON object that the secret is, if it is one: what follows `#`.
    pub member: Option<String>,
    /// What keeps it.
    pub keeper: Keeper,
    /// The region, which must be that of the functions.
    pub region: String,
}

/// A service that keeps secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keeper {
    /// Systems Manager's parameters.
    Ssm,
    /// Secrets Manager.
    SecretsManager,
}

impl SecretSource {
    /// Reads an ARN, with `#member` after that of a secret.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wanted = || {
            // Not the text: somebody may have put the secret itself there.
            "it must be the ARN of a parameter or a secret, such as \
             arn:aws:ssm:eu-west-1:123456789012:parameter/name or arn:aws:secretsmanager:…:secret:name-AbCdEf#member"
                .to_owned()
        };
        let (arn, member) = match text.split_once('#') {
            Some((arn, member)) => (arn, Some(member.to_owned())),
            None => (text, None),
        };
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, service, region, account, resource] = parts.as_slice() else {
            return Err(wanted());
        };
        let keeper = match *service {
            "ssm" if resource.len() > "parameter/".len() && resource.starts_with("parameter/") => Keeper::Ssm,
            "secretsmanager" if resource.len() > "secret:".len() && resource.starts_with("secret:") => {
                Keeper::SecretsManager
            }
            _ => return Err(wanted()),
        };
        let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let place = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if !digits || !place(region) || !place(partition) || member.as_ref().is_some_and(String::is_empty) {
            return Err(wanted());
        }
        Ok(Self { arn: arn.to_owned(), member, keeper, region: (*region).to_owned() })
    }
}

/// The values of secrets by their names. `Debug` shows the names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What stands where a secret stood.
const HIDDEN: &str = "[secret]";

impl Secrets {
    /// Secrets by their names.
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(values.into_iter().collect())
    }

    /// The value of a secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A text of the API's without the secrets, should it repeat them: as they are, percent-encoded, or escaped in JSON.
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = text.to_owned();
        for secret in self.0.values().filter(|secret| !secret.is_empty()) {
            let quoted = serde_json::Value::from(secret.as_str()).to_string();
            let percent = encoded(secret);
            for form in [secret.as_str(), &quoted[1..quoted.len() - 1], &percent] {
                hidden = hidden.replace(form, HIDDEN);
            }
        }
        hidden
    }
}
