//! What takes records one at a time, as a function behind an HTTP API. It admits only requests that IAM has authorised.

use axum::body::Body;
use axum::http::Request;
use axum::middleware::map_request;
use fanfold::model::error::Result;
use fanfold_api::{Caller, Intake, records};
use fanfold_aws::clients::Clients;
use fanfold_aws::items::DynamoItems;
use fanfold_aws::requests::DynamoRequests;
use fanfold_aws::sqs::SqsChannel;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;

use crate::config::{RECORD_SCHEMA, SubmitConfig};
use crate::setting;

/// The name of its handler.
pub const HANDLER: &str = "submit";
/// The stage that it is deployed as.
const STAGE: &str = "/v1";

/// Serves requests until Lambda ends the process.
///
/// # Errors
/// `Config` if a setting is missing or wrong; what the Lambda runtime cannot recover from.
pub async fn run() -> std::result::Result<(), lambda_runtime::Error> {
    let clients = Clients::from_env().await;
    let config = configured(&clients).await.inspect_err(|error| tracing::error!(%error, "function cannot start"))?;
    let intake = Intake {
        queue: SqsChannel::new(clients.sqs.clone(), config.queue_url),
        requests: DynamoRequests::new(clients.dynamodb.clone(), config.requests_table),
        items: config.items_table.map(|table| DynamoItems::new(clients.dynamodb.clone(), table, config.key_field)),
        schema: config.schema,
    };
    lambda_http::run(records(intake, STAGE).layer(map_request(introduce))).await
}

async fn configured(clients: &Clients) -> Result<SubmitConfig> {
    let given = |name: &str| std::env::var(name).ok();
    let schema = match given(RECORD_SCHEMA) {
        Some(value) => Some(setting::read(RECORD_SCHEMA, &value, clients).await?),
        None => None,
    };
    SubmitConfig::read(|name| if name == RECORD_SCHEMA { schema.clone() } else { given(name) })
}

/// Says who sends a request, if the gateway has authorised it: the caller by what IAM knows it by
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).
async fn introduce(mut request: Request<Body>) -> Request<Body> {
    if let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() {
        let by = context.authorizer.as_ref().and_then(|by| by.iam.as_ref()).and_then(|iam| iam.user_id.clone());
        let caller =
            by.zip(context.request_id.clone()).map(|(id, request)| Caller { id, request, stage: STAGE.to_owned() });
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
    }
    request
}
