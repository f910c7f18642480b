//! The events of batches and reports as a function behind a URL that streams, for callers that IAM has authorised.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::middleware::{Next, from_fn, map_request};
use axum::response::Response;
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold_api::{Pipelines, events};
use fanfold_aws::clients::Clients;
use futures::StreamExt;
use lambda_http::RequestExt;
use tokio::time::sleep;

use crate::api::{deployment, vouch};

/// The name of its handler.
pub const HANDLER: &str = "events";
/// How long before Lambda would end the function a stream ends, so that it ends between two events and is no error. The client comes back
/// and is told what it does not have.
const MARGIN: Duration = Duration::from_secs(2);

/// Serves requests until Lambda ends the process.
///
/// # Errors
/// `Config` if the deployment cannot be read; what the Lambda runtime cannot recover from.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    let clients = Clients::from_env().await;
    let deployment = deployment(&clients).await?;
    let routes = events(Pipelines::of(&deployment, &clients));
    lambda_http::run_with_streaming_response(routes.layer(map_request(vouch)).layer(from_fn(in_time))).await
}

/// Ends an answer in time.
async fn in_time(request: Request<Body>, next: Next) -> Response {
    let until = request.lambda_context_ref().map_or(u64::MAX, |context| context.deadline);
    let now = u64::try_from(SystemClock.now().0).unwrap_or_default();
    let left = Duration::from_millis(until.saturating_sub(now)).saturating_sub(MARGIN);
    let answer = next.run(request).await;
    answer.map(|body| Body::from_stream(body.into_data_stream().take_until(sleep(left))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::{Bytes, to_bytes};
    use axum::routing::get;
    use futures::stream::unfold;
    use lambda_http::Context;
    use lambda_http::tower::ServiceExt;
    use std::convert::Infallible;

    /// An event every few milliseconds, for ever.
    async fn endless() -> Body {
        Body::from_stream(unfold((), |()| async {
            sleep(Duration::from_millis(20)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"data: 1\n\n")), ()))
        }))
    }

    #[tokio::test]
    async fn a_stream_ends_between_two_events_before_lambda_ends_the_function() {
        let routes = Router::new().route("/", get(endless)).layer(from_fn(in_time));
        for (left, events) in [(2_500, 1..=25), (2_000, 0..=0), (10, 0..=0)] {
            let mut context = Context::default();
            context.deadline = u64::try_from(SystemClock.now().0).unwrap() + left;
            let request = Request::get("/").body(Body::empty()).unwrap().with_lambda_context(context);
            let answer = routes.clone().oneshot(request).await.unwrap();
            let told = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
            assert_eq!(told.len() % b"data: 1\n\n".len(), 0);
            let count = told.len() / b"data: 1\n\n".len();
            assert!(events.contains(&count), "{count} events with {left} ms left");
        }
    }
}
