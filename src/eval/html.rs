//! The report as one HTML page that needs nothing else: style, plots and pictures are inside, and there is no script.

use std::fmt::Write;
use std::path::Path;

use super::cards::{cases, filter_rules};
use super::gallery::Gallery;
use super::looking::{self, LOOKING_DEFINITIONS};
use super::report::{duration, share, Report, Scores};
use super::table::{Table, LEGEND};
use super::{write_whole, EvalError, HISTOGRAM_BINS};

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
/// 160 kB of it at most, mostly half of that, and a third more where it is known where the model looked.
pub fn render_html(report: &Report, gallery: &Gallery) -> String {
    let selection = gallery.selection();
    let run = &report.run;
    let title = format!("{} {}", escape(&run.dataset), escape(&run.split));
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'unsafe-inline'\">\n\
         <title>LISA on {title}</title>\n<style>\n{STYLE}{}</style>\n</head>\n<body>\n\
         <div class=\"page\">\n<header>\n<h1>{title}</h1>\n<p class=\"sub\">{} · {} answers",
        filter_rules(report),
        escape(&run.model),
        run.protocol,
    );
    if let Some(seed) = run.seed {
        let _ = write!(page, " · seed {seed}");
    }
    page.push_str("</p>\n</header>\n");
    page.push_str(&tiles(&report.overall));
    page.push_str(&table(report));
    page.push_str(&delivery(report));
    page.push_str(&settings(report));
    page.push_str(&plots(report));
    page.push_str(&cases(report, &selection));
    page.push_str("</div>\n</body>\n</html>\n");
    page
}

fn tiles(all: &Scores) -> String {
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
    // The table says why the others are missing.
    let measured = tiles
        .into_iter()
        .filter(|(_, score, _)| !all.not_measured.contains_key(score));
    let tile =
        |(name, _, value)| format!("<div class=\"tile\"><b>{value}</b><span>{name}</span></div>\n");
    let tiles: String = measured.map(tile).collect();
    format!("<section class=\"tiles\">\n{tiles}</section>\n")
}

fn table(report: &Report) -> String {
    let scores = Table::of(report);
    let mut out = format!(
        "<h2>Scores</h2>\n{}<p class=\"note\">{}.</p>\n",
        rows(&scores),
        escape(LEGEND)
    );
    for note in scores.notes() {
        let _ = writeln!(out, "<p class=\"note\">{}.</p>", escape(&note));
    }
    if let Some(note) = report.without_absent() {
        let _ = writeln!(out, "<p class=\"note\">{note}.</p>");
    }
    let table = Table::looking(report);
    if !table.rows.is_empty() {
        out.push_str(&rows(&table));
        let legend = escape(looking::LEGEND);
        let _ = writeln!(out, "<p class=\"note\">{legend}.</p>");
        for note in table.notes() {
            let _ = writeln!(out, "<p class=\"note\">{}.</p>", escape(&note));
        }
    }
    if let Some(near) = report.overall.quality.looking.near_misses() {
        let _ = writeln!(out, "<p class=\"note\">{}.</p>", escape(&near));
    }
    out + &stages(&report.overall)
}

fn rows(table: &Table) -> String {
    let heads = table.heads.iter();
    let heads: String = heads
        .map(|h| format!("<th scope=\"col\">{h}</th>"))
        .collect();
    let mut out = format!(
        "<div class=\"panel\"><table>\n<thead><tr><th scope=\"col\">kind</th>{heads}</tr></thead>\n<tbody>\n"
    );
    for (i, (kind, cells)) in table.rows.iter().enumerate() {
        let class = if i == 0 { " class=\"all\"" } else { "" };
        let cells: String = cells
            .iter()
            .map(|cell| match cell {
                Ok(cell) => format!("<td>{cell}</td>"),
                Err(reason) => format!("<td title=\"{}\"></td>", escape(reason)),
            })
            .collect();
        let kind = escape(kind);
        let _ = writeln!(out, "<tr{class}><th scope=\"row\">{kind}</th>{cells}</tr>");
    }
    out + "</tbody></table></div>\n"
}

fn stages(all: &Scores) -> String {
    if all.timing.stages_ms.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "<details><summary>Latency by stage</summary><div class=\"panel\"><table>\n<thead><tr><th scope=\"col\">stage</th>\
         <th scope=\"col\">mean</th><th scope=\"col\">p50</th><th scope=\"col\">p90</th><th scope=\"col\">p99</th></tr></thead>\n<tbody>\n",
    );
    for (stage, ms) in &all.timing.stages_ms {
        let cells =
            [ms.mean, ms.p50, ms.p90, ms.p99].map(|ms| format!("<td>{}</td>", duration(ms)));
        let (stage, cells) = (escape(stage), cells.concat());
        let _ = writeln!(out, "<tr><th scope=\"row\">{stage}</th>{cells}</tr>");
    }
    out + "</tbody></table></div></details>\n"
}

fn delivery(report: &Report) -> String {
    let Some(delivery) = &report.delivery else {
        return String::new();
    };
    let lines = delivery.lines().into_iter();
    let items: String = lines
        .map(|(name, value)| format!("<dt>{name}</dt><dd>{value}</dd>\n"))
        .collect();
    format!("<details open><summary>What became of the instructions</summary><dl>\n{items}</dl></details>\n")
}

fn settings(report: &Report) -> String {
    let mut out = String::new();
    let list = |items: String| format!("<dl>\n{items}</dl></details>\n");
    if !report.run.settings.is_empty() {
        let settings = report.run.settings.iter().map(|(name, value)| {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(&value))
        });
        out.push_str("<details open><summary>Settings</summary>");
        out.push_str(&list(settings.collect()));
    }
    let defined = super::DEFINITIONS.iter().chain(&LOOKING_DEFINITIONS);
    let defined = defined.map(|(name, is)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(is)));
    out.push_str("<details><summary>What the numbers are</summary>");
    out.push_str(&list(defined.collect()));
    out
}

fn plots(report: &Report) -> String {
    let mut out = String::from("<h2>IoU</h2>\n<div class=\"plots\">\n");
    // One kind is all there is.
    let several = if report.kinds.len() == 1 {
        1
    } else {
        usize::MAX
    };
    let measured = |(_, scores): &(&str, &Scores)| !scores.not_measured.contains_key("giou");
    for (kind, scores) in report.rows().take(several).filter(measured) {
        let q = &scores.quality;
        let plot = histogram(&q.iou_histogram);
        let giou = share(q.giou);
        let kind = escape(kind);
        let _ = writeln!(
            out,
            "<figure>{plot}<figcaption>{kind} · mean {giou}</figcaption></figure>"
        );
    }
    out + "</div>\n"
}

/// Ten bars over an axis from 0 to 1, each with its count.
fn histogram(bins: &[usize; HISTOGRAM_BINS]) -> String {
    let most = bins.iter().copied().max().unwrap_or(0).max(1);
    let counts = bins.map(|n| n.to_string()).join(", ");
    let mut out = format!(
        "<svg viewBox=\"0 0 220 112\" role=\"img\" aria-label=\"Questions by IoU, in bins of 0.1: {counts}\">\
         <line x1=\"5\" y1=\"96\" x2=\"215\" y2=\"96\"/>"
    );
    for (i, &n) in bins.iter().enumerate() {
        let (x, height) = (5 + 21 * i, 80.0 * n as f64 / most as f64);
        let y = 96.0 - height;
        if n > 0 {
            let _ = write!(
                out,
                "<rect x=\"{}\" y=\"{y:.1}\" width=\"19\" height=\"{height:.1}\" rx=\"2\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"middle\">{n}</text>",
                x + 1,
                x + 10,
                y - 3.0
            );
        }
    }
    out + "<text x=\"5\" y=\"109\">0</text><text x=\"110\" y=\"109\" text-anchor=\"middle\">0.5</text>\
           <text x=\"215\" y=\"109\" text-anchor=\"end\">1</text></svg>"
}

/// Text as HTML, in an element or a quoted attribute. Control characters, which no page may have, become U+FFFD.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::picture::{Picture, MOST_BYTES};
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
                Ok(Picture {
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
        assert!(!page.contains("<script") && !page.contains("onload='") && !page.contains('\0'));
        assert_eq!(page.matches("</style>").count(), 1);
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload=&#39;x&#39; &amp;")
        );
        assert!(page.contains("<mark>[SEG]</mark>"));
        // An attribute ends where it should: its quotes are all the page's own.
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
            Ok(Picture {
                jpeg: vec![1],
                width: 2,
                height: 1,
            }
            .into())
        };
        gallery.offer_with(&given, &verdict, picture).unwrap();
        tally.pass_over("absent", true);
        let page = render_html(&tally.report(run()), &gallery);
        // refused, near; of absent: gIoU, cIoU, P@0.5, refused, p50, p90, p99, near
        assert_eq!(
            page.matches("<td title=\"questions about absent").count(),
            10
        );
        // Of all and of short: SEG, missed, named, p50, p90, p99; of all: presence
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
        // The legend speaks of the token <s>, which is struck-out text where it is markup.
        assert!(with.contains("or on &lt;s&gt; where"), "{with}");
        assert!(!pages.iter().any(|page| page.contains("<s>")));
    }

    #[test]
    fn a_run_without_cases_has_a_page() {
        let page = render_html(&Tally::default().report(run()), &Gallery::new(30));
        assert!(page.contains("<h1>reason_seg val</h1>") && !page.contains("NaN"));
    }
}
