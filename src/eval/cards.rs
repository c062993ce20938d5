//! The page's cases, and the choice among their kinds.

use std::fmt::Write;

use super::gallery::{Selection, Shown};
use super::html::escape;
use super::picture::{Picture, PREDICTED, TRUE};
use super::report::{duration, Report};
use crate::image::HEAT_RAMP;

/// Choosing a kind hides the other kinds' cases, by style alone.
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

pub(super) fn cases(report: &Report, selection: &Selection) -> String {
    let groups = [
        ("Best", &selection.best),
        ("About the median", &selection.median),
        ("Worst", &selection.worst),
    ];
    if groups.iter().all(|(_, cases)| cases.is_empty()) {
        return String::new();
    }
    let mut out = String::from("<h2>Cases</h2>\n");
    let (mut picks, mut chips) = (String::new(), String::new());
    for (i, (kind, _)) in report.rows().enumerate() {
        let checked = if i == 0 { " checked" } else { "" };
        let kind = escape(kind);
        let _ = write!(
            picks,
            "<input class=\"pick\" type=\"radio\" name=\"kind\" id=\"k{i}\"{checked}>"
        );
        let _ = write!(chips, "<label for=\"k{i}\">{kind}</label>");
    }
    // A choice among one kind is none.
    if report.kinds.len() > 1 {
        let _ = writeln!(out, "{picks}\n<div class=\"chips\">{chips}</div>");
    }
    let css = |[r, g, b]: [u8; 3]| format!("rgb({r},{g},{b})");
    let mut shown = groups.iter().flat_map(|(_, cases)| cases.iter());
    let looks = shown.any(|case| case.pictures.attention.is_some());
    let attention = match looks {
        true => format!(
            "<span><i style=\"width:42px;background:linear-gradient(90deg,{})\"></i>where the model looked before it answered</span>",
            HEAT_RAMP.map(css).join(",")
        ),
        false => String::new(),
    };
    let _ = writeln!(
        out,
        "<div class=\"cases\">\n<p class=\"legend\"><span><i style=\"background:{}\"></i>predicted</span>\
         <span><i style=\"border:3px solid {};outline:1px solid #000\"></i>true</span>\
         <span><i style=\"background:repeating-linear-gradient(135deg,#000 0 2px,#999 2px 5px)\"></i>ignored</span>{attention}</p>",
        css(PREDICTED),
        css(TRUE)
    );
    for (name, cases) in groups {
        if cases.is_empty() {
            continue;
        }
        let _ = writeln!(
            out,
            "<h3>{name}</h3>\n<div class=\"grid{}\">",
            if looks { " looks" } else { "" }
        );
        for case in cases {
            let kind = report.kinds.keys().position(|kind| *kind == case.kind);
            out.push_str(&card(case, kind.map_or(0, |i| i + 1)));
        }
        out.push_str("</div>\n");
    }
    out + "</div>\n"
}

/// `kind`: the kind's place among the kinds, from 1.
fn card(case: &Shown, kind: usize) -> String {
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
    let instruction = escape(&case.instruction);
    let attention = case.pictures.attention.as_ref();
    let attention = attention.map_or(String::new(), |picture| {
        image(picture, "where the model looked")
    });
    let mut out = format!(
        "<article class=\"card k{kind}\"><div class=\"views\">{}{attention}</div>\n\
         <div class=\"text\"><div class=\"row\"><span class=\"kind\">{} · {}</span><span class=\"iou {level}\">{score}</span></div>\n",
        image(&case.pictures.masks, &instruction),
        escape(&case.kind),
        escape(&case.name),
    );
    if !case.history.is_empty() {
        let turns = case.history.len();
        let _ = write!(
            out,
            "<details class=\"history\"><summary>{turns} earlier</summary>"
        );
        for turn in &case.history {
            let (question, answer) = (escape(&turn.question), marked(&turn.answer));
            let _ = write!(
                out,
                "<p class=\"ask\" dir=\"auto\">{question}</p><p dir=\"auto\">{answer}</p>"
            );
        }
        out.push_str("</details>");
    }
    let _ = write!(
        out,
        "<p class=\"ask\" dir=\"auto\">{instruction}</p>\n<p dir=\"auto\">{}</p>\n<p class=\"meta\">{}",
        marked(&case.answer),
        if case.emitted.is_some() {
            duration(case.latency_ms)
        } else {
            "answer given".to_owned()
        }
    );
    let overlap = case.verdict.overlap;
    if !case.absent {
        let _ = write!(out, " · {} of {} px", overlap.intersection, overlap.union);
        if case.emitted == Some(0) {
            out.push_str(" · no [SEG]");
        }
    }
    match case.names_right.filter(|_| case.emitted.is_some()) {
        Some(true) => out.push_str(" · names the right object"),
        Some(false) => out.push_str(" · names another object"),
        None => {}
    }
    if let Some(attended) = case.attended {
        let on = if case.absent { "&lt;s&gt;" } else { "it" };
        let _ = write!(out, " · {attended:.2} of the attention on {on}");
    }
    out + "</p></div></article>\n"
}

/// `alt` is escaped.
fn image(picture: &Picture, alt: &str) -> String {
    format!(
        "<img src=\"data:image/jpeg;base64,{}\" width=\"{}\" height=\"{}\" loading=\"lazy\" alt=\"{alt}\">",
        base64::encode(&picture.jpeg),
        picture.width,
        picture.height
    )
}

/// Escaped, with each `[SEG]` made visible.
fn marked(text: &str) -> String {
    escape(text).replace("[SEG]", "<mark>[SEG]</mark>")
}
