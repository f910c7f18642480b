//! Meters in DynamoDB: two items of the ledger table each, one for the moments and one for what is leased.
//!
//! Each step is one conditional update, which DynamoDB applies atomically and orders per item
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html>), and answers with
//! the item as it is after it, or as it was when the condition failed
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html>). Both are as fresh as a consistent
//! read, so that no step reads first. The items do not expire: the ledger's time to live looks at an attribute that they lack
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>).
//!
//! A partition takes 1,000 writes a second
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>): for each function that calls
//! there are a few a second.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};

use crate::error;
use fanfold::model::error::{Error, Result};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::meter::{Ask, Lease, Meter, Reserved, Want, micros, moments};

/// How often a step is tried again since the item was not as expected: each time, another caller got further.
const TRIES: usize = 16;
/// How many leases that ended are taken back at once: what an expression can name in comfort.
const ENDED: usize = 20;
/// What the names of lessees' attributes begin with.
const HOLDER: &str = "lease-";

type Attributes = HashMap<String, AttributeValue>;

/// Meters in a table.
#[derive(Debug, Clone)]
pub struct DynamoMeter {
    client: Client,
    table: String,
}

fn number(of: i64) -> AttributeValue {
    AttributeValue::N(of.to_string())
}

fn value(item: &Attributes, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// A lease as its attribute has it: slots, and until when.
fn leased(attribute: &AttributeValue) -> Option<(u32, i64)> {
    let lease = attribute.as_m().ok()?;
    Some((u32::try_from(value(lease, "slots")?).ok()?, value(lease, "until")?))
}

fn lease_of(slots: u32, until: Timestamp) -> AttributeValue {
    let slots = ("slots".to_owned(), number(i64::from(slots)));
    AttributeValue::M(HashMap::from([slots, ("until".to_owned(), number(until.0))]))
}

/// What is leased, as the item says.
#[derive(Debug, Default)]
struct Leases {
    used: i64,
    /// This caller's lease.
    own: Option<(u32, i64)>,
    /// The leases of others that ended: attributes, and their values.
    ended: Vec<(String, AttributeValue, u32)>,
}

impl Leases {
    fn of(item: &Attributes, own: &str, now: Timestamp) -> Self {
        let holders = item.iter().filter(|(name, _)| name.starts_with(HOLDER) && *name != own);
        let ended = holders.filter_map(|(name, attribute)| {
            let (slots, until) = leased(attribute)?;
            (until <= now.0).then(|| (name.clone(), attribute.clone(), slots))
        });
        let ended = ended.take(ENDED).collect();
        Self { used: value(item, "used").unwrap_or_default(), own: item.get(own).and_then(leased), ended }
    }
}

impl DynamoMeter {
    /// Meters in a table by its name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    fn update(&self, key: String) -> UpdateItemFluentBuilder {
        let request = self.client.update_item().table_name(&self.table).key("pk", AttributeValue::S(key));
        request
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// The item after the update, or as it was when its condition failed.
    async fn send(&self, update: UpdateItemFluentBuilder) -> Result<std::result::Result<Attributes, Attributes>> {
        let error = match update.send().await {
            Ok(done) => return Ok(Ok(done.attributes.unwrap_or_default())),
            Err(error) => error,
        };
        if !error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) {
            return Err(error::of_call("update the table", &self.table, error));
        }
        match error.into_service_error() {
            UpdateItemError::ConditionalCheckFailedException(refused) => Ok(Err(refused.item.unwrap_or_default())),
            other => Err(Error::internal("an unexpected refusal").because(other)),
        }
    }

    fn contended(&self) -> Error {
        Error::busy(format!("others were faster {TRIES} times at the meter in the table {}", self.table))
    }
}

impl Meter for DynamoMeter {
    /// Moves the next moment on: from where it is, if it is still to come, or else from the present. Which of the two it will
    /// be is guessed, and the item says when the guess was wrong.
    async fn reserve(&self, name: &str, ask: Ask, now: Timestamp) -> Result<Reserved> {
        let spacing = micros(ask.spacing);
        let (present, latest) = (now.0 * 1000, ask.latest.0 * 1000);
        let length = spacing * i64::from(ask.calls);
        let mut to_come = true;
        for _ in 0..TRIES {
            let update = self.update(format!("METER#{name}")).expression_attribute_names("#next", "next");
            let update = update.expression_attribute_values(":present", number(present));
            let update = if to_come {
                update
                    .update_expression("SET #next = #next + :length")
                    .condition_expression("#next >= :present AND #next <= :latest")
                    .expression_attribute_values(":length", number(length))
                    .expression_attribute_values(":latest", number(latest))
            } else {
                update
                    .update_expression("SET #next = :after")
                    .condition_expression("attribute_not_exists(#next) OR #next < :present")
                    .expression_attribute_values(":after", number(present + length))
            };
            match self.send(update).await? {
                Ok(item) => {
                    let next = value(&item, "next").ok_or_else(|| Error::internal("a meter has no next moment"))?;
                    return Ok(Reserved::Granted(moments(next - length, spacing, ask.calls)));
                }
                Err(item) => {
                    let next = value(&item, "next").unwrap_or(i64::MIN);
                    if next.max(present) > latest {
                        return Ok(Reserved::Later(Timestamp(next.max(present).div_euclid(1000) + 1)));
                    }
                    to_come = next >= present;
                }
            }
        }
        Err(self.contended())
    }

    async fn hold(&self, name: &str, until: Timestamp) -> Result<()> {
        let update = self.update(format!("METER#{name}"));
        let update = update
            .update_expression("SET #next = :until")
            .condition_expression("attribute_not_exists(#next) OR #next < :until")
            .expression_attribute_names("#next", "next")
            .expression_attribute_values(":until", number(until.0 * 1000));
        // If the condition fails, there is a pause that lasts longer.
        self.send(update).await.map(drop)
    }

    /// Each caller has an attribute, and `used` is their sum. An update adds to it what it changes, takes back leases that
    /// ended, and has the condition that neither those nor its own are other than expected, and that the limit is kept.
    async fn lease(&self, name: &str, lease: &Lease, want: Want, now: Timestamp) -> Result<u32> {
        let own = format!("{HOLDER}{}", lease.holder);
        let mut known = Leases { own: (lease.slots > 0).then_some((lease.slots, 0)), ..Leases::default() };
        let mut wanted = want.slots;
        for _ in 0..TRIES {
            let held = known.own.map_or(0, |(slots, _)| slots);
            if wanted == held && held == 0 {
                return Ok(0);
            }
            let update = self.change(name, &own, &known, wanted, want, held);
            match self.send(update).await? {
                Ok(_) => return Ok(wanted),
                Err(item) => {
                    known = Leases::of(&item, &own, now);
                    let held = known.own.map_or(0, |(slots, _)| slots);
                    let freed: i64 = known.ended.iter().map(|(_, _, slots)| i64::from(*slots)).sum();
                    let room = i64::from(want.limit) - (known.used - i64::from(held) - freed);
                    let room = u32::try_from(room.max(0)).unwrap_or(u32::MAX);
                    // Whoever lowers the limit takes nothing away from those who hold more.
                    wanted = want.slots.min(room).max(held.min(want.slots));
                }
            }
        }
        Err(self.contended())
    }
}

impl DynamoMeter {
    /// The update that changes what a caller holds from `held` to `wanted`.
    fn change(
        &self,
        name: &str,
        own: &str,
        known: &Leases,
        wanted: u32,
        want: Want,
        held: u32,
    ) -> UpdateItemFluentBuilder {
        let freed: i64 = known.ended.iter().map(|(_, _, slots)| i64::from(*slots)).sum();
        let more = i64::from(wanted) - i64::from(held);
        let mut update = self
            .update(format!("METER#{name}#LEASES"))
            .expression_attribute_names("#used", "used")
            .expression_attribute_names("#own", own)
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":more", number(more - freed));
        let (mut set, mut remove, mut condition) = (
            "SET #used = if_not_exists(#used, :zero) + :more".to_owned(),
            Vec::new(),
            match held {
                0 => "attribute_not_exists(#own)".to_owned(),
                _ => "#own.#slots = :held".to_owned(),
            },
        );
        if held > 0 {
            update = update
                .expression_attribute_names("#slots", "slots")
                .expression_attribute_values(":held", number(i64::from(held)));
        }
        match wanted {
            0 => remove.push("#own".to_owned()),
            _ => {
                set.push_str(", #own = :own");
                update = update.expression_attribute_values(":own", lease_of(wanted, want.until));
            }
        }
        if more > 0 {
            condition.push_str(" AND (attribute_not_exists(#used) OR #used <= :most)");
            let most = i64::from(want.limit) - more + freed;
            update = update.expression_attribute_values(":most", number(most));
        }
        for (n, (attribute, lease, _)) in known.ended.iter().enumerate() {
            condition.push_str(&format!(" AND #e{n} = :e{n}"));
            remove.push(format!("#e{n}"));
            update = update
                .expression_attribute_names(format!("#e{n}"), attribute)
                .expression_attribute_values(format!(":e{n}"), lease.clone());
        }
        if !remove.is_empty() {
            set.push_str(&format!(" REMOVE {}", remove.join(", ")));
        }
        update.update_expression(set).condition_expression(condition)
    }
}
