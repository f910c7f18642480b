//! The terms of clients: items of a pipeline, whose files say them.

use aws_sdk_dynamodb::Client;
use serde_json::{Map, Value};

use crate::items::DynamoItems;
use fanfold::model::billing::admission::Terms;
use fanfold::model::error::{Error, Result};
use fanfold::store::billing::Clients;

/// The field that names a client: the key of its item.
pub const CLIENT: &str = "client";

/// Clients whose terms are items.
#[derive(Debug, Clone)]
pub struct DynamoTerms(DynamoItems);

impl DynamoTerms {
    /// The items table of a pipeline whose key field is [`CLIENT`].
    pub fn new(client: Client, table: &str) -> Self {
        Self(DynamoItems::new(client, table, CLIENT))
    }
}

fn read(client: &str, fields: &Map<String, Value>) -> Result<Terms> {
    let wrong = |wrong: Vec<String>| {
        let told = wrong.join("; ");
        Error::malformed(format!("what is stored of client {client:?} are no terms: {told}. Upload them again"))
    };
    Terms::parse(fields).map_err(wrong)
}

impl Clients for DynamoTerms {
    async fn terms(&self, client: &str) -> Result<Option<Terms>> {
        let fields = self.0.fields(client).await?;
        fields.map(|fields| read(client, &fields)).transpose()
    }

    async fn all(&self) -> Result<Vec<(String, Option<Terms>)>> {
        let told = |(client, fields): (String, Map<String, Value>)| {
            let terms = read(&client, &fields).inspect_err(|error| tracing::warn!(%error, "terms that cannot be read"));
            (client, terms.ok())
        };
        Ok(self.0.all_fields().await?.into_iter().map(told).collect())
    }
}
