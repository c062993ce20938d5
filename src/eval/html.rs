//! The report as one HTML page that needs nothing else: style, plots and pictures are inside, and there is no script.
//!
//! The markup is written with `maud`, so that whatever a model or a file said is escaped by its type.

use std::path::Path;

use maud::{html, Markup, PreEscaped, DOCTYPE};

use super::cards::{cases, filter_rules};
use super::gallery::{Gallery, SelectedCases};
use super::image_reliance::{self, IMAGE_RELIANCE_DEFINITIONS};
use super::numbers::{duration, share};
use super::table::{Table, LEGEND};
use super::{write_whole, EvalError, Report, Scores, WorstCases, DEFINITIONS, HISTOGRAM_BINS};

const STYLE: &str = include_str!("report.css");

/// Writes the page to a file, replacing what is there.
///
/// # Errors
/// [`EvalError::Write`].
pub fn write_html(report: &Report, gallery: &Gallery, path: &Path) -> Result<(), EvalError> {
    let write = write_whole(path, render_html(report, gallery).as_bytes());
    write.map_err(|source| EvalError::Write {
        path: path.to_owned(),
        source,
    })
}

/// The page: scores, a table of the kinds, histograms of IoU, and the gallery's cases.
///
/// Everything a model or a file said is escaped, and the page allows no script and loads nothing. A case takes
/// at most 160 kB of the page and usually half of that; a case that also shows where the model looked takes a third more.
pub fn render_html(report: &Report, gallery: &Gallery) -> String {
    render(report, &html! {}, &gallery.selection())
}

/// Writes the page of a run in parts to a file, replacing what is there. Its cases are the worst ones.
///
/// # Errors
/// [`EvalError::Write`].
pub fn write_worst_html(report: &Report, worst: &WorstCases, path: &Path) -> Result<(), EvalError> {
    let page = render_parts_html(report, &html! {}, worst);
    write_whole(path, page.as_bytes()).map_err(|source| EvalError::Write {
        path: path.to_owned(),
        source,
    })
}

/// The page of a run in parts: what the parts keep is the worst cases, and those are shown. `more` stands below the scores.
pub(crate) fn render_parts_html(report: &Report, more: &Markup, worst: &WorstCases) -> String {
    let cases = SelectedCases {
        worst: worst.shown(),
        ..SelectedCases::default()
    };
    render(report, more, &cases)
}

fn render(report: &Report, more: &Markup, selected: &SelectedCases) -> String {
    let run = &report.run;
    let title = format!("{} {}", run.dataset, run.split);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; img-src data:; style-src 'unsafe-inline'";
                title { "LISA on " (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(filter_rules(report))) }
            }
            body {
                div.page {
                    header {
                        h1 { (title) }
                        p.sub {
                            (run.model) " · " (run.protocol) " answers"
                            @if let Some(seed) = run.seed { " · seed " (seed) }
                        }
                    }
                    (tiles(&report.overall))
                    (table(report))
                    (delivery(report))
                    (more)
                    (places(report))
                    (settings(report))
                    (plots(report))
                    (cases(report, selected))
                }
            }
        }
    };
    // A page may hold no control characters other than these two, and `maud` leaves them as they are.
    let control = |c: char| c.is_control() && c != '\n' && c != '\t';
    page.into_string().replace(control, "\u{fffd}")
}

fn tiles(all: &Scores) -> Markup {
    let q = &all.quality;
    let latency = all.timing.latency_ms;
    let tiles = [
        ("gIoU", "giou", share(q.giou)),
        ("cIoU", "ciou", share(q.ciou)),
        (
            "precision at 0.5",
            "precision_at_50",
            share(q.precision_at_50),
        ),
        ("[SEG] where due", "seg_rate", share(q.seg_rate)),
        (
            "median latency",
            "latency_ms",
            latency.map_or("-".to_owned(), |l| duration(l.p50)),
        ),
        ("questions", "count", q.count.to_string()),
    ];
    // The notes below the table say why the others are missing.
    let measured = tiles
        .iter()
        .filter(|(_, score, _)| !all.not_measured.contains_key(score));
    html! {
        section.tiles {
            @for (name, _, value) in measured {
                div.tile { b { (value) } span { (name) } }
            }
        }
    }
}

fn table(report: &Report) -> Markup {
    let scores = Table::of(report);
    let reliance = Table::image_reliance(report);
    html! {
        h2 { "Scores" }
        (rows(&scores))
        (note(LEGEND))
        @for reason in scores.notes() { (note(&reason)) }
        @if let Some(absent) = report.without_absent() { (note(&absent)) }
        @if !reliance.rows.is_empty() {
            (rows(&reliance))
            (note(image_reliance::LEGEND))
            @for reason in reliance.notes() { (note(&reason)) }
        }
        @if let Some(near) = report.overall.quality.image_reliance.near_misses() { (note(&near)) }
        (stages(&report.overall))
    }
}

fn note(text: &str) -> Markup {
    html! { p.note { (text) "." } }
}

fn rows(table: &Table) -> Markup {
    html! {
        div.panel {
            table {
                thead {
                    tr {
                        th scope="col" { "kind" }
                        @for head in &table.heads { th scope="col" { (head) } }
                    }
                }
                tbody {
                    @for (i, (kind, cells)) in table.rows.iter().enumerate() {
                        tr.all[i == 0] {
                            th scope="row" { (kind) }
                            @for cell in cells {
                                @match cell {
                                    Ok(cell) => td { (cell) },
                                    Err(reason) => td title=(reason) {},
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn stages(all: &Scores) -> Markup {
    html! {
        @if !all.timing.stages_ms.is_empty() {
            details {
                summary { "Latency by stage" }
                div.panel {
                    table {
                        thead {
                            tr {
                                @for head in ["stage", "mean", "p50", "p90", "p99"] {
                                    th scope="col" { (head) }
                                }
                            }
                        }
                        tbody {
                            @for (stage, ms) in &all.timing.stages_ms {
                                tr {
                                    th scope="row" { (stage) }
                                    @for ms in [ms.mean, ms.p50, ms.p90, ms.p99] {
                                        td { (duration(ms)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn places(report: &Report) -> Markup {
    html! {
        @if let Some(places) = &report.places {
            details open {
                summary { "Where the objects are" }
                pre { (places.to_string()) }
            }
        }
    }
}

fn delivery(report: &Report) -> Markup {
    html! {
        @if let Some(delivery) = &report.delivery {
            details open {
                summary { "What became of the instructions" }
                dl {
                    @for (name, value) in delivery.lines() { dt { (name) } dd { (value) } }
                }
            }
        }
    }
}

fn settings(report: &Report) -> Markup {
    let settings = &report.run.settings;
    let text = |value: &serde_json::Value| {
        let text = value.as_str().map(str::to_owned);
        text.unwrap_or_else(|| value.to_string())
    };
    html! {
        @if !settings.is_empty() {
            details open {
                summary { "Settings" }
                dl {
                    @for (name, value) in settings { dt { (name) } dd { (text(value)) } }
                }
            }
        }
        details {
            summary { "What the numbers are" }
            dl {
                @for (name, is) in DEFINITIONS.iter().chain(&IMAGE_RELIANCE_DEFINITIONS) {
                    dt { (name) }
                    dd { (is) }
                }
            }
        }
    }
}

fn plots(report: &Report) -> Markup {
    // The first row is all kinds together, which says everything where there is only one.
    let several = if report.kinds.len() == 1 {
        1
    } else {
        usize::MAX
    };
    let measured = |(_, scores): &(&str, &Scores)| !scores.not_measured.contains_key("giou");
    html! {
        h2 { "IoU" }
        div.plots {
            @for (kind, scores) in report.rows().take(several).filter(measured) {
                figure {
                    (histogram(&scores.quality.iou_histogram))
                    figcaption { (kind) " · mean " (share(scores.quality.giou)) }
                }
            }
        }
    }
}

/// Ten bars over an axis from 0 to 1, each with its count.
fn histogram(bins: &[usize; HISTOGRAM_BINS]) -> Markup {
    let most = bins.iter().copied().max().unwrap_or(0).max(1);
    let counts = bins.map(|n| n.to_string()).join(", ");
    let bars = bins.iter().enumerate().map(|(i, &n)| {
        let height = 80.0 * n as f64 / most as f64;
        (5 + 21 * i, 96.0 - height, height, n)
    });
    html! {
        svg viewBox="0 0 220 112" role="img" aria-label={ "Questions by IoU, in bins of 0.1: " (counts) } {
            line x1="5" y1="96" x2="215" y2="96" {}
            @for (x, y, height, n) in bars.filter(|(.., n)| *n > 0) {
                rect x=(x + 1) y=(format_args!("{y:.1}")) width="19" height=(format_args!("{height:.1}")) rx="2" {}
                text x=(x + 10) y=(format_args!("{:.1}", y - 3.0)) text-anchor="middle" { (n) }
            }
            text x="5" y="109" { "0" }
            text x="110" y="109" text-anchor="middle" { "0.5" }
            text x="215" y="109" text-anchor="end" { "1" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::case_image::{CaseImage, MOST_BYTES};
    use super::super::testing::{attention, case, mask, run, truth};
    use super::super::Tally;
    use super::*;
    use crate::data::Turn;

    /// A page of `count` cases whose every text is `text` and whose pictures have `bytes`.
    fn page(count: usize, bytes: usize, text: &str) -> String {
        let truth = truth(2, 1, &[1, 0]);
        let predicted = mask(2, 1, &[255, 255]);
        let history = [Turn::new(text, text)];
        let (mut tally, mut gallery) = (Tally::default(), Gallery::new(30));
        for i in 0..count {
            let name = format!("{text} {i}");
            let mut case = case(&name, text);
            (case.instruction, case.answer, case.history) = (text, text, &history);
            if i % 2 == 0 {
                (case.truth, case.predicted) = (Some(&truth), Some(&predicted));
                (case.emitted, case.expected) = (Some(1), 1);
            }
            let verdict = tally.add(&case).unwrap();
            let picture = || {
                Ok(CaseImage {
                    jpeg: vec![i as u8; bytes],
                    width: 2,
                    height: 1,
                }
                .into())
            };
            gallery.offer_with(&case, &verdict, picture).unwrap();
        }
        let mut run = run();
        for field in [&mut run.model, &mut run.dataset, &mut run.split] {
            *field = text.to_owned();
        }
        run.settings.insert(text.to_owned(), text.into());
        render_html(&tally.report(run), &gallery)
    }

    #[test]
    fn no_text_becomes_markup() {
        let hostile = "</style></p><script>alert(1)</script>\" onload='x' & \u{0}[SEG]";
        let page = page(3, 16, hostile);
        assert!(!page.contains("<script") && !page.contains("\" onload") && !page.contains('\0'));
        assert_eq!(page.matches("</style>").count(), 1);
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload='x' &amp;"));
        assert!(page.contains("<mark>[SEG]</mark>"));
        // The attribute goes on to the end of the text, so no quote of the text has ended it early.
        let alt = page
            .split("alt=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert!(alt.ends_with("[SEG]"), "{alt}");
    }

    #[test]
    fn every_element_is_closed() {
        let page = page(8, 16, "a mug");
        for tag in [
            "div", "section", "table", "tr", "th", "td", "details", "article", "p", "svg",
            "figure", "dl", "span", "h3",
        ] {
            let open = page.matches(&format!("<{tag}>")).count()
                + page.matches(&format!("<{tag} ")).count();
            assert_eq!(open, page.matches(&format!("</{tag}>")).count(), "{tag}");
            assert!(open > 0 || tag == "section", "{tag}");
        }
    }

    #[test]
    fn thirty_cases_stay_small_and_the_page_loads_nothing() {
        let page = page(40, MOST_BYTES, "a mug");
        assert_eq!(page.matches("<article").count(), 30);
        assert!(page.len() < 5_000_000, "{}", page.len());
        assert_eq!(
            page.matches("src=\"").count(),
            page.matches("src=\"data:image/jpeg;base64,").count()
        );
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("url("));
    }

    #[test]
    fn what_was_not_measured_is_an_empty_cell_with_its_reason() {
        let (truth, half) = (truth(2, 1, &[1, 1]), mask(2, 1, &[255, 0]));
        let (mut tally, mut gallery) = (Tally::default(), Gallery::new(3));
        let mut given = case("a", "short");
        (given.truth, given.predicted, given.emitted) = (Some(&truth), Some(&half), None);
        given.names_right = Some(false);
        let verdict = tally.add(&given).unwrap();
        let picture = || {
            Ok(CaseImage {
                jpeg: vec![1],
                width: 2,
                height: 1,
            }
            .into())
        };
        gallery.offer_with(&given, &verdict, picture).unwrap();
        tally.pass_over("absent", true);
        let page = render_html(&tally.report(run()), &gallery);
        // The row of all lacks refused and near; that of absent lacks gIoU, cIoU, P@0.5, refused, p50, p90, p99 and near.
        assert_eq!(
            page.matches("<td title=\"questions about absent").count(),
            10
        );
        // The rows of all and of short lack SEG, missed, named, p50, p90 and p99; that of all also lacks presence.
        assert_eq!(page.matches("<td title=\"the answer was given").count(), 13);
        let note = "<p class=\"note\">not measured: SEG, missed, named, p50, p90, p99: the answer was given";
        assert!(page.contains(note), "{page}");
        assert!(page.contains("<p class=\"note\">not measured: refused, gIoU"));
        assert!(page.contains("<p class=\"note\">not measured: near: questions about absent"));
        assert!(page.contains("<p class=\"note\">not measured: presence: the answer was given"));
        for unearned in [
            "<span>[SEG] where due</span>",
            "<span>median latency</span>",
        ] {
            assert!(!page.contains(unearned), "{unearned}");
        }
        assert!(page.contains("<span>gIoU</span>") && page.contains("answer given"));
        assert!(!page.contains("names another object") && !page.contains("rightly"));
        assert!(page.contains("<figcaption>short") && !page.contains("<figcaption>absent"));
    }

    #[test]
    fn where_the_model_looked_is_beside_the_mask() {
        let image = ::image::RgbImage::new(8, 8);
        let there = truth(8, 8, &[1; 64]);
        let looked = attention((8, 8), [0.25, 0.25, 0.125, 0.125], 0.125);
        let pages = [None, Some(&looked)].map(|looked| {
            let (mut tally, mut gallery) = (Tally::default(), Gallery::new(3));
            for truth in [Some(&there), None] {
                let mut mug = case(if truth.is_some() { "a" } else { "b" }, "explicit");
                (mug.truth, mug.attention) = (truth, looked);
                let verdict = tally.add(&mug).unwrap();
                gallery.offer(&mug, &verdict, &image).unwrap();
            }
            render_html(&tally.report(run()), &gallery)
        });
        let [without, with] = &pages;
        assert_eq!(without.matches("<article").count(), 2);
        assert_eq!(without.matches("<img").count(), 2);
        assert_eq!(with.matches("<img").count(), 4);
        assert_eq!(with.matches("alt=\"where the model looked\"").count(), 2);
        assert!(with.contains("0.75 of the attention on it"));
        assert!(with.contains("0.12 of the attention on &lt;s&gt;"));
        let said = [
            "<th scope=\"col\">attended</th>",
            "where the model looked before it answered</span>",
            "of the attention on",
        ];
        for said in said {
            assert!(with.contains(said) && !without.contains(said), "{said}");
        }
        // The legend names the token <s>, which would strike out text if it were taken as markup.
        assert!(with.contains("or on &lt;s&gt; where"), "{with}");
        assert!(!pages.iter().any(|page| page.contains("<s>")));
    }

    #[test]
    fn a_run_without_cases_has_a_page() {
        let page = render_html(&Tally::default().report(run()), &Gallery::new(30));
        assert!(page.contains("<h1>reason_seg val</h1>") && !page.contains("NaN"));
    }
}
