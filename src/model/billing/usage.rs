//! What a client used on a day: sums that are the same in whatever order its events come, and however often.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::billing::event::UsageEvent;
use crate::model::fold::{Exact, Numbers};

/// What a client used on a day, or in a half month.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// How many events say so.
    pub events: u64,
    /// How much of each meter.
    pub quantities: Numbers,
    /// Which events: a digest that does not depend on their order.
    pub digest: Digest,
}

impl Usage {
    /// What events say, each of which is given once.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a UsageEvent>) -> Self {
        let mut usage = Self::default();
        for event in events {
            usage.events += 1;
            usage.digest.add(&Digest::of(event));
            add(&mut usage.quantities, &event.meter, &event.quantity);
        }
        usage
    }

    /// Adds what was used on another day.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.digest.add(&other.digest);
        for (meter, quantity) in &other.quantities {
            add(&mut self.quantities, meter, quantity);
        }
    }
}

fn add(all: &mut BTreeMap<String, Exact>, meter: &str, quantity: &Exact) {
    match all.get_mut(meter) {
        Some(sum) => sum.add(quantity),
        None => _ = all.insert(meter.to_owned(), quantity.clone()),
    }
}

/// A digest of a set of events: the sum of the digests of each, so that it can be made in any order and in parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of one event: of what it is and of what it says.
    fn of(event: &UsageEvent) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::new().chain_update(event.content()).chain_update(event.identity()).finalize().into())
    }

    /// Adds the digest of other events; what is beyond 256 bits falls away.
    fn add(&mut self, other: &Self) {
        let mut carry = 0;
        for (byte, more) in self.0.iter_mut().zip(other.0).rev() {
            let sum = u16::from(*byte) + u16::from(more) + carry;
            (*byte, carry) = ((sum & 0xFF) as u8, sum >> 8);
        }
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::str::FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "a digest is 64 hexadecimal digits";
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong);
        }
        let mut digest = [0; 32];
        for (place, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).map_err(|_| wrong)?;
        }
        Ok(Self(digest))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn event(id: u32, meter: u8, cents: i32) -> UsageEvent {
        let quantity = format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100);
        UsageEvent::parse(&json!({
            "specversion": "1.0", "source": "/m", "id": id.to_string(), "subject": "anna", "type": format!("meter {meter}"),
            "time": "2026-02-28T23:59:59Z", "data": {"quantity": quantity},
        }))
        .unwrap()
    }

    #[test]
    fn usage_is_read_back_as_it_was_written() {
        let usage = Usage::of(&[event(1, 1, 150), event(2, 1, 1), event(3, 2, -300)]);
        assert_eq!((usage.events, usage.quantities["meter 1"].to_string()), (3, "1.51".to_owned()));
        let text = serde_json::to_string(&usage).unwrap();
        assert_eq!(serde_json::from_str::<Usage>(&text).unwrap(), usage, "{text}");
        assert!(serde_json::from_str::<Usage>(&text.replace(&usage.digest.to_string(), "é")).is_err());
    }

    proptest! {
        #[test]
        fn usage_is_the_same_in_any_order_and_in_any_parts(
            events in prop::collection::vec((0_u8..3, -10_000_i32..10_000), 0..40), cut in 0_usize..40, seed in any::<u64>(),
        ) {
            let mut all: Vec<UsageEvent> =
                (0..).zip(&events).map(|(id, (meter, cents))| event(id, *meter, *cents)).collect();
            let whole = Usage::of(&all);
            fastrand::Rng::with_seed(seed).shuffle(&mut all);
            prop_assert_eq!(&Usage::of(&all), &whole);
            let (first, rest) = all.split_at(cut.min(all.len()));
            let mut parts = Usage::of(first);
            parts.add(&Usage::of(rest));
            prop_assert_eq!(&parts, &whole);
            let sum: i32 = events.iter().map(|(_, cents)| cents).sum();
            let told: f64 = whole.quantities.values().map(|sum| sum.to_string().parse::<f64>().unwrap()).sum();
            prop_assert!((told - f64::from(sum) / 100.0).abs() < 1e-6);
            if let Some(last) = all.pop() {
                prop_assert_ne!(Usage::of(&all).digest, whole.digest, "without {:?}", last);
            }
        }
    }
}
