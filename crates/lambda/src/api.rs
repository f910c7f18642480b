//! The API as a function behind an HTTP API, and behind a WebSocket API for those who wait for reports. It admits only requests that IAM or
//! a JWT has authorised.

use std::sync::Arc;

use aws_lambda_events::apigw::ApiGatewayRequestAuthorizer;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::middleware::{Next, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use fanfold::model::error::{Error, Result};
use fanfold_api::{Connected, Door, Pipelines, Sockets, Vouched, router};
use fanfold_aws::clients::Clients;
use fanfold_aws::deployment::Deployment;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;

use crate::setting;

/// The name of its handler.
pub const HANDLER: &str = "api";
/// The variable that holds the deployment, or names the object that does.
const DEPLOYMENT: &str = "DEPLOYMENT";

/// Serves requests until Lambda ends the process.
///
/// # Errors
/// `Config` if the deployment cannot be read; what the Lambda runtime cannot recover from.
pub async fn run() -> std::result::Result<(), lambda_runtime::Error> {
    let clients = Clients::from_env().await;
    let deployment = deployment(&clients).await?;
    let (pipelines, sockets) = (Pipelines::of(&deployment, &clients), Sockets::of(&deployment, &clients));
    let connected = Connected::of(&deployment, &clients).map(Arc::new);
    let routes = router(pipelines, sockets, Door::Gateway).layer(map_request(vouch));
    lambda_http::run(routes.layer(from_fn_with_state(connected, connections_first))).await
}

/// The longest text that a client can say, in bytes
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html>).
const LONGEST: usize = 128 * 1_024;

/// Answers a WebSocket API about a connection: by a status when a client comes or goes, and otherwise by what the client is sent
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-response.html>). All else is for the
/// routes.
async fn connections_first(
    State(connected): State<Option<Arc<Connected>>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let Some(RequestContext::WebSocket(context)) = request.request_context_ref() else {
        return next.run(request).await;
    };
    let connection = context.connection_id.clone().unwrap_or_default();
    let Some(connected) = connected else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let noted = match context.event_type.as_deref() {
        Some("CONNECT") => {
            let given = request.query_string_parameters();
            connected.comes(&connection, given.first("ticket").unwrap_or_default()).await
        }
        Some("DISCONNECT") => connected.goes(&connection).await.map(|()| true),
        _ => {
            let text = to_bytes(request.into_body(), LONGEST).await.unwrap_or_default();
            return connected.says(&connection, &String::from_utf8_lossy(&text)).await.into_response();
        }
    };
    match noted {
        Ok(true) => StatusCode::OK.into_response(),
        Ok(false) => StatusCode::FORBIDDEN.into_response(),
        Err(error) => {
            tracing::error!(%error, connection, "connection not noted");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The deployment that the function answers for.
///
/// # Errors
/// `Config` if it is not described, or otherwise than it should be; those of reading it.
pub async fn deployment(clients: &Clients) -> Result<Deployment> {
    described(clients).await.inspect_err(|error| tracing::error!(%error, "function cannot start"))
}

async fn described(clients: &Clients) -> Result<Deployment> {
    let value = std::env::var(DEPLOYMENT);
    let value = value.map_err(|e| Error::config(format!("{DEPLOYMENT} is not set")).because(e))?;
    let text = setting::read(DEPLOYMENT, &value, clients).await?;
    serde_json::from_str(&text).map_err(|e| Error::config(format!("{DEPLOYMENT} is not a deployment")).because(e))
}

/// Marks a request that the gateway authorised, or the address of a function. A caller that invokes the function directly can write any event,
/// but needs the right to invoke it. A route that was left open by mistake has no authorizer in its events
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).
pub async fn vouch(mut request: Request<Body>) -> Request<Body> {
    let caller = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.authorizer.as_ref().and_then(caller),
        _ => None,
    };
    if let Some(caller) = caller {
        request.extensions_mut().insert(Vouched(caller.into()));
    }
    request
}

/// Whose request it is: the principal that IAM knows, or the subject of a token with its issuer.
fn caller(by: &ApiGatewayRequestAuthorizer) -> Option<String> {
    if let Some(iam) = &by.iam {
        let id = iam.user_id.as_deref()?;
        // Behind the id of a role stands the name of a session, which is another each time; a federated user's begins with the account
        // (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids).
        let principal = if id.starts_with("AROA") { id.split(':').next().unwrap_or(id) } else { id };
        return Some(format!("iam:{principal}"));
    }
    let claims = &by.jwt.as_ref()?.claims;
    // A client that has a token of its own is no user (https://www.rfc-editor.org/rfc/rfc9068#section-2.2), and no user of another
    // issuer is this one.
    let named = ["sub", "client_id"].into_iter().find_map(|name| Some((name, claims.get(name)?)));
    let (name, subject) = named?;
    Some(format!("jwt:{}:{name}:{subject}", claims.get("iss").map_or("", String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::http::Extensions;
    use serde_json::{Value, json};

    /// The context of a request as the gateway tells it.
    fn context(authorizer: Value) -> RequestContext {
        let mut event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/batches", "rawQueryString": "", "headers": {},
            "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "d", "requestId": "r", "routeKey": "$default",
                "stage": "$default", "time": "1", "timeEpoch": 1,
                "http": { "method": "GET", "path": "/batches", "protocol": "HTTP/1.1", "sourceIp": "::1", "userAgent": "u" },
            },
            "isBase64Encoded": false,
        });
        if !authorizer.is_null() {
            event["requestContext"]["authorizer"] = authorizer;
        }
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        request.request_context()
    }

    #[tokio::test]
    async fn only_what_the_gateway_authorised_is_vouched_for() {
        let iam = |user: &str| {
            json!({ "iam": {
                "accessKey": "k", "accountId": "1", "callerId": "c", "cognitoIdentity": null, "principalOrgId": null,
                "userArn": "arn:aws:iam::1:user/anna", "userId": user,
            } })
        };
        let jwt = |claims: Value| json!({ "jwt": { "claims": claims, "scopes": [] } });
        let cases = [
            (Value::Null, None),
            (json!({}), None),
            (iam("AIDA1"), Some("iam:AIDA1")),
            (iam("AROA1:this-session"), Some("iam:AROA1")),
            (iam("123456789012:anna"), Some("iam:123456789012:anna")),
            (jwt(json!({ "iss": "https://a" })), None),
            (jwt(json!({ "iss": "https://a", "sub": "anna" })), Some("jwt:https://a:sub:anna")),
            (jwt(json!({ "iss": "https://a", "client_id": "anna" })), Some("jwt:https://a:client_id:anna")),
        ];
        for (authorizer, vouched) in cases {
            let mut request = Request::new(Body::empty());
            let mut extensions = Extensions::new();
            extensions.insert(context(authorizer.clone()));
            *request.extensions_mut() = extensions;
            let seen = vouch(request).await;
            let caller = seen.extensions().get::<Vouched>().map(|Vouched(caller)| caller.as_ref());
            assert_eq!(caller, vouched, "{authorizer}");
        }
        assert!(vouch(Request::new(Body::empty())).await.extensions().get::<Vouched>().is_none());
    }
}
