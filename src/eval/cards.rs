//! The page's cases, and the choice among their kinds.

use std::fmt::Write;

use maud::{html, Markup};

use super::case_image::{CaseImage, PREDICTED, TRUE};
use super::gallery::{SelectedCases, ShownCase};
use super::numbers::duration;
use super::Report;
use crate::image::HEAT_RAMP;

/// Style rules by which choosing a kind hides the other kinds' cases; the page needs no script for it.
pub(super) fn filter_rules(report: &Report) -> String {
    let mut rules = String::from(
        "#k0:checked~.chips [for=k0]{background:var(--accent);color:var(--page);border-color:var(--accent)}\n",
    );
    for i in 1..=report.kinds.len() {
        let _ = writeln!(
            rules,
            "#k{i}:checked~.cases .card:not(.k{i}){{display:none}}\
             #k{i}:checked~.chips [for=k{i}]{{background:var(--accent);color:var(--page);border-color:var(--accent)}}"
        );
    }
    for i in 0..=report.kinds.len() {
        let _ = writeln!(
            rules,
            "#k{i}:focus-visible~.chips [for=k{i}]{{outline:2px solid var(--ink)}}"
        );
    }
    rules
}

pub(super) fn cases(report: &Report, selection: &SelectedCases) -> Markup {
    let groups = [
        ("Best", &selection.best),
        ("About the median", &selection.median),
        ("Worst", &selection.worst),
    ];
    let mut shown = groups.iter().flat_map(|(_, cases)| cases.iter());
    let looks = shown.any(|case| case.images.attention.is_some());
    let groups = groups.into_iter().filter(|(_, cases)| !cases.is_empty());
    let place = |kind: &str| report.kinds.keys().position(|known| known == kind);
    html! {
        @if groups.clone().next().is_some() {
            h2 { "Cases" }
            // One kind leaves nothing to choose.
            @if report.kinds.len() > 1 {
                @for i in 0..=report.kinds.len() {
                    input.pick type="radio" name="kind" id={ "k" (i) } checked[i == 0];
                }
                div.chips {
                    @for (i, (kind, _)) in report.rows().enumerate() {
                        label for={ "k" (i) } { (kind) }
                    }
                }
            }
            div.cases {
                (legend(looks))
                @for (name, cases) in groups {
                    h3 { (name) }
                    div.grid.looks[looks] {
                        @for case in cases { (card(case, place(&case.kind).map_or(0, |i| i + 1))) }
                    }
                }
            }
        }
    }
}

/// What the colours in the pictures stand for; `looks` where some of the pictures show attention.
fn legend(looks: bool) -> Markup {
    let css = |[r, g, b]: [u8; 3]| format!("rgb({r},{g},{b})");
    html! {
        p.legend {
            span { i style={ "background:" (css(PREDICTED)) } {} "predicted" }
            span { i style={ "border:3px solid " (css(TRUE)) ";outline:1px solid #000" } {} "true" }
            span {
                i style="background:repeating-linear-gradient(135deg,#000 0 2px,#999 2px 5px)" {}
                "ignored"
            }
            @if looks {
                span {
                    i style={
                        "width:42px;background:linear-gradient(90deg," (HEAT_RAMP.map(css).join(",")) ")"
                    } {}
                    "where the model looked before it answered"
                }
            }
        }
    }
}

/// `kind`: the kind's place among the kinds, from 1.
fn card(case: &ShownCase, kind: usize) -> Markup {
    let iou = case.verdict.iou;
    let level = match iou {
        iou if iou >= 0.7 => "good",
        iou if iou >= 0.3 => "fair",
        _ => "bad",
    };
    let score = match (case.absent, case.emitted) {
        (false, _) => format!("IoU {iou:.3}"),
        (true, Some(0)) => "refused, rightly".to_owned(),
        (true, _) => "should have refused".to_owned(),
    };
    html! {
        article class={ "card k" (kind) } {
            div.views {
                (image(&case.images.masks, &case.instruction))
                @if let Some(attention) = &case.images.attention {
                    (image(attention, "where the model looked"))
                }
            }
            div.text {
                div.row {
                    span.kind { (case.kind) " · " (case.name) }
                    span class={ "iou " (level) } { (score) }
                }
                @if !case.history.is_empty() {
                    details.history {
                        summary { (case.history.len()) " earlier" }
                        @for turn in &case.history {
                            p.ask dir="auto" { (turn.question) }
                            p dir="auto" { (marked(&turn.answer)) }
                        }
                    }
                }
                p.ask dir="auto" { (case.instruction) }
                p dir="auto" { (marked(&case.answer)) }
                p.meta { (facts(case).join(" · ")) }
            }
        }
    }
}

/// What was measured of a case, for the line below its answer.
fn facts(case: &ShownCase) -> Vec<String> {
    let mut facts = vec![match case.emitted {
        Some(_) => duration(case.latency_ms),
        None => "answer given".to_owned(),
    }];
    if !case.absent {
        let overlap = case.verdict.overlap;
        facts.push(format!("{} of {} px", overlap.intersection, overlap.union));
        if case.emitted == Some(0) {
            facts.push("no [SEG]".to_owned());
        }
    }
    match case.names_right.filter(|_| case.emitted.is_some()) {
        Some(true) => facts.push("names the right object".to_owned()),
        Some(false) => facts.push("names another object".to_owned()),
        None => {}
    }
    if let Some(attended) = case.attended {
        let on = if case.absent { "<s>" } else { "it" };
        facts.push(format!("{attended:.2} of the attention on {on}"));
    }
    facts
}

fn image(picture: &CaseImage, alt: &str) -> Markup {
    let data = base64::encode(&picture.jpeg);
    html! {
        img src={ "data:image/jpeg;base64," (data) } width=(picture.width) height=(picture.height)
            loading="lazy" alt=(alt);
    }
}

/// A text with each `[SEG]` made visible.
fn marked(text: &str) -> Markup {
    html! {
        @for (i, part) in text.split("[SEG]").enumerate() {
            @if i > 0 { mark { "[SEG]" } }
            (part)
        }
    }
}
