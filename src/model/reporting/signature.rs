//! The signature of a webhook, by which its receiver knows who sent it and when:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What the text of a secret begins with.
const PREFIX: &str = "whsec_";
/// How many bytes a secret has, at least and at most.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The keys that sign, at least one. `Debug` shows how many there are.
#[derive(Clone)]
pub struct Keys(Vec<Vec<u8>>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

impl Keys {
    /// Reads the texts of secrets: `whsec_` and 24 to 64 bytes in base64.
    ///
    /// # Errors
    /// What is wrong with one of them, without it.
    pub fn parse<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let wrong = || format!("a secret of webhooks must be {PREFIX} and 24 to 64 bytes in base64");
        let key = |text: &str| {
            let bytes = text.trim().strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
            bytes.filter(|bytes| BYTES.contains(&bytes.len())).ok_or_else(wrong)
        };
        let keys: Vec<Vec<u8>> = secrets.into_iter().map(key).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(wrong()) } else { Ok(Self(keys)) }
    }

    /// The value of `webhook-signature`: one signature by each key.
    pub fn sign(&self, id: &str, seconds: i64, body: &str) -> String {
        let signed = |key: &Vec<u8>| {
            // HMAC takes keys of any length.
            let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
            mac.update(format!("{id}.{seconds}.{body}").as_bytes());
            Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
        };
        self.0.iter().filter_map(signed).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn the_signature_is_the_one_of_the_specification() {
        let signed = Keys::parse([SECRET]).unwrap().sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_key_signs_and_what_is_none_is_refused_without_telling_it() {
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let signed = Keys::parse([SECRET, other]).unwrap().sign("a", 1, "b");
        assert_eq!(signed.split(' ').filter(|one| one.starts_with("v1,")).count(), 2);
        assert_eq!(format!("{:?}", Keys::parse([SECRET, other]).unwrap()), "2 keys");
        for wrong in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8G", "whsec_!", "whsec_"] {
            let told = Keys::parse([wrong]).unwrap_err();
            assert!(wrong.is_empty() || wrong == "whsec_" || !told.contains(wrong), "{told}");
        }
        assert!(Keys::parse([]).is_err());
    }
}
