//! The page: files that are part of the program.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;

/// A file of the page: its name, and what is in it.
type File = (&'static str, &'static str);

macro_rules! files {
    ($($name:literal)*) => { [$(($name, include_str!(concat!("../page/", $name)))),*] };
}

const INDEX: &str = "index.html";
const FILES: [File; 21] = files!(
    "ask.js" "bar.js" "batch.js" "billing.html" "billing.js" "chart.js" "dom.js" "failures.js" "icon.svg" "index.html" "list.js" "net.js" "page.css" "page.js"
    "parts.js" "pause.js" "reports.html" "reports.js" "text.js" "upload.js" "ways.js"
);

/// What a file is, by its ending.
fn kind_of(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    }
}

pub fn routes() -> Router {
    FILES.into_iter().fold(Router::new(), |router, (name, content)| {
        let path = if name == INDEX { "/".to_owned() } else { format!("/{name}") };
        router.route(&path, get(move || async move { ([(CONTENT_TYPE, kind_of(name))], content) }))
    })
}

/// Sets what a browser has to know of every answer: nothing is run, shown or sent but by this page, and nothing is kept.
/// <https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CSP>
pub async fn guarded(State(origins): State<Arc<BTreeSet<String>>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let uploads: Vec<&str> = origins.iter().map(String::as_str).collect();
    let policy = format!(
        "default-src 'self'; connect-src 'self' {}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        uploads.join(" ")
    );
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn is_of_reports(name: &str) -> bool {
        ["billing.html", "billing.js", "reports.html", "reports.js", "ways.js"].contains(&name)
    }

    #[test]
    fn all_files_of_the_page_are_served_and_together_they_are_small() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let there: BTreeMap<String, u64> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
            .collect();
        assert_eq!(there.keys().map(String::as_str).collect::<Vec<_>>(), FILES.map(|(name, _)| name));
        let bytes =
            |named: fn(&str) -> bool| there.iter().filter(|(name, _)| named(name)).map(|(_, bytes)| bytes).sum::<u64>();
        // What the pages of reports and billing have for themselves, no other loads.
        let (own, others) = (bytes(is_of_reports), bytes(|name| !is_of_reports(name)));
        assert!(others < 100_000 && own < 26_000, "{others} {own}");
    }

    #[test]
    fn the_page_knows_what_is_counted_and_no_request() {
        let parts = include_str!("../page/parts.js");
        let listed = parts.split_once("const BESIDE = [").unwrap().1.split_once("];").unwrap().0;
        let names: Vec<&str> = listed.split('"').skip(1).step_by(2).collect();
        assert_eq!(names, fanfold::model::calls::BESIDE);
    }
}
