//! Billing in words and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use fanfold::model::billing::admission::Admitted;
use fanfold::model::billing::aggregate::Aggregate;
use fanfold::model::billing::money::Currency;
use fanfold::model::billing::package::Package;
use fanfold::model::billing::sending::Sending;
use fanfold::model::billing::statement::{Counts, Invoiced, Statement};
use fanfold::model::error::{Error, Result};
use fanfold::model::fold::Exact;

/// Half months that are named in words; the document has them all.
const SHOWN: usize = 20;

/// A document in one line.
pub fn json(document: &impl Serialize) -> Result<String> {
    serde_json::to_string(document).map_err(|e| Error::internal("a document of billing cannot be shown").because(e))
}

/// What a package charges.
pub fn package(package: &Package) -> String {
    let mut text = format!("package   {}\nevents    {}\n", package.id, package.events);
    for line in &package.lines {
        let charged = line.price.as_ref().zip(line.amount.as_ref()).zip(package.currency.as_ref());
        let told = |((price, amount), currency): ((&Exact, &Exact), &Currency)| {
            format!(" at {price} = {} {currency}", currency.written(amount))
        };
        let charged = charged.map(told).unwrap_or_default();
        text += &format!("          {} {}{charged}\n", line.quantity, line.meter);
    }
    if let Some((total, currency)) = package.total.as_ref().zip(package.currency.as_ref()) {
        text += &format!("total     {} {currency}\n", currency.written(total));
    }
    text
}

/// Where a package stands.
pub fn sending(sending: &Sending) -> String {
    let mut text = format!("state     {}\n", state(sending.state));
    if let Some(invoice) = &sending.invoice {
        text += &format!("invoice   {invoice}\n");
    }
    if let Some(reason) = &sending.reason {
        text += &format!("because   {reason}\n");
    }
    text
}

fn state(state: impl Serialize) -> String {
    serde_json::to_value(state).ok().and_then(|state| state.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A package in a line.
pub fn invoiced(of: &Invoiced) -> String {
    let total = of.total.as_ref().zip(of.currency.as_ref());
    let total = total.map(|(total, currency)| format!("  {total} {currency}")).unwrap_or_default();
    let invoice = of.invoice.as_ref().map(|id| format!("  invoice {id}")).unwrap_or_default();
    let reason = of.reason.as_ref().map(|reason| format!("  ({reason})")).unwrap_or_default();
    format!("{:<9}  {}  {} events{total}{invoice}{reason}", state(of.state), of.id, of.events)
}

/// An event in a line.
pub fn event(of: &Admitted, as_json: bool) -> Result<String> {
    let Admitted { event, day, zone, zone_data, .. } = of;
    if as_json {
        return json(&json!({
            "source": event.source, "id": event.id, "subject": event.client, "type": event.meter, "time": event.at.to_string(),
            "data": {"quantity": event.quantity}, "day": day.to_string(), "zone": zone, "zoneData": zone_data,
        }));
    }
    Ok(format!("{}  {} {}  {} {}", event.at, event.quantity, event.meter, event.source, event.id))
}

/// What was used on a day or in an hour, in a line.
pub fn used(client: &str, period: &str, row: &Aggregate, as_json: bool) -> Result<String> {
    if as_json {
        return json(&json!({"client": client, "period": period, "row": row}));
    }
    let quantities = row.usage.quantities.iter().map(|(meter, quantity)| format!("  {quantity} {meter}"));
    Ok(format!("{period}  {} events{}", row.usage.events, quantities.collect::<String>()))
}

/// What statements say together.
pub fn sum(counts: &Counts, statements: &[Statement]) -> String {
    let Counts { came, billed, unbilled, conflicts, rejected } = counts;
    let mut text = match counts.difference() {
        0 => format!(
            "events in = billed + unbilled + rejected: {came} = {billed} + {unbilled} + {}",
            conflicts + rejected
        ),
        lost => format!(
            "{came} events came in, and {lost} more than are billed ({billed}), unbilled ({unbilled}) or rejected ({})",
            conflicts + rejected
        ),
    };
    text += &format!(
        "\nrejected: {conflicts} have the source and id of another event, {rejected} came too late, too early or of nobody"
    );
    let mut states: BTreeMap<String, u64> = BTreeMap::new();
    let packages = statements.iter().flat_map(|statement| &statement.packages);
    packages.for_each(|package| *states.entry(state(package.state)).or_default() += 1);
    let told: Vec<String> = states.iter().map(|(state, many)| format!("{many} {state}")).collect();
    text += &format!("\npackages: {}", if told.is_empty() { "none".to_owned() } else { told.join(", ") });
    let uncounted: usize = statements.iter().map(|statement| statement.uncounted).sum();
    if uncounted > 0 {
        text += &format!(
            "\nrows of {uncounted} days or hours could not be set: the log of process says why; the next run sets them, if it can"
        );
    }
    let differ = |statement: &&Statement| {
        let Counts { unbilled, conflicts, rejected, .. } = statement.events;
        unbilled + conflicts + rejected > 0 || statement.events.difference() != 0
    };
    let differing: Vec<&Statement> = statements.iter().filter(differ).collect();
    for Statement { client, half, events, .. } in differing.iter().take(SHOWN) {
        let Counts { came, billed, unbilled, conflicts, rejected } = events;
        let whose = if client.is_empty() { "nobody" } else { client };
        text += &format!(
            "\n  {half} of {whose}: {came} in, {billed} billed, {unbilled} unbilled, {conflicts} conflicts, {rejected} rejected"
        );
    }
    if differing.len() > SHOWN {
        text += &format!("\n  and {} more: --json has them all", differing.len() - SHOWN);
    }
    text
}

/// The same as a document.
///
/// # Errors
/// None that is known of.
pub fn sum_as_json(counts: &Counts, statements: &[Statement], failed: u64) -> Result<String> {
    json(&json!({"events": counts, "difference": counts.difference(), "notClosed": failed, "statements": statements}))
}
