use super::*;
use crate::cost::Prices;
use crate::result::{Verdict, example};
use quick_xml::Reader;
use quick_xml::events::Event;

fn cost() -> CostReport {
    CostReport::of(Prices::built_in(), 24.0)
}

fn example_page() -> String {
    page(&example::result(), &cost())
}

/// How often each element occurs. Fails where elements are not closed, nested wrongly or hold raw text.
fn elements(page: &str) -> std::collections::BTreeMap<String, usize> {
    let mut reader = Reader::from_str(page);
    reader.config_mut().check_end_names = true;
    let mut found = std::collections::BTreeMap::new();
    let mut open = 0;
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(element) => {
                open += 1;
                *found.entry(String::from_utf8(element.name().as_ref().to_vec()).unwrap()).or_default() += 1;
                element.attributes().for_each(|attribute| drop(attribute.expect("well-formed")));
            }
            Event::Empty(element) => {
                *found.entry(String::from_utf8(element.name().as_ref().to_vec()).unwrap()).or_default() += 1;
                element.attributes().for_each(|attribute| drop(attribute.expect("well-formed")));
            }
            Event::End(_) => open -= 1,
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(open, 0, "every element is closed");
    found
}

#[test]
fn the_page_is_well_formed_and_has_every_chart() {
    let page = example_page();
    let found = elements(&page);
    // Four percentile charts, four of time (five targets, of which the ladder has no series), one ladder, three of ratios, one of
    // stages, one of cost.
    assert_eq!(found.get("figure"), Some(&14), "{found:?}");
    for part in [
        "Latency by percentile",
        "Latency over time",
        "Rate ladder",
        "Beside the physical limit",
        "Where the time goes",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("Most of the p99 is <b>device</b>: 55 %"), "the stages of the example");
    assert!(page.contains("breaks even at") && page.contains("name = &quot;example&quot;"), "cost and suite");
}

/// A deeper queue makes the device slower and ratios smaller: whoever sees one must see the other. And a ratio to a disk that the
/// target does not write to compares two things.
#[test]
fn every_ratio_says_to_what() {
    let mut result = example::result();
    for baseline in result.cases.iter_mut().filter_map(|case| case.baseline.as_mut()) {
        baseline.device_in_flight = 7;
    }
    let page = page(&result, &cost());
    let cases = page.split("<h2>").filter(|section| section.contains("Beside the physical limit"));
    assert_eq!(cases.clone().count(), 3);
    for section in cases {
        for figure in section.split("<figure").filter(|figure| figure.contains("Beside the physical limit")) {
            assert!(figure.contains("raw device with 7 writes in flight"), "{figure}");
        }
        assert!(section.contains("in the same round (raw device with 7 writes in flight)"), "{section}");
    }
    let percentiles = page.split("<figure").filter(|figure| figure.contains("Latency by percentile"));
    let beside = percentiles.filter(|figure| figure.contains("loopback"));
    assert!(beside.clone().count() == 3 && beside.clone().all(|figure| figure.contains("raw device with 7 writes")));
    assert!(page.contains(", no disk here: p50"), "a bar of a store elsewhere");
}

/// One file, for ever: nothing is loaded, nothing runs.
#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = example_page().to_lowercase();
    for loads in
        [" src=", " href=", "<link", "<script", "@import", "url(", "<iframe", "<object", "<image", " onload", "xlink"]
    {
        assert!(!page.contains(loads), "{loads}");
    }
}

#[test]
fn no_number_on_the_page_is_not_one() {
    let mut result = example::result();
    for part in &mut result.cases[0].targets[0].rounds {
        *part = crate::result::PartResult::default();
    }
    result.cases[1].targets[0].rounds[0].series[3].p99_us = 0.0;
    for page in [example_page(), page(&result, &cost())] {
        for wrong in ["NaN", "inf ", "inf\"", "-inf", "Infinity"] {
            let at = page.find(wrong).map(|at| page[at.saturating_sub(200)..].chars().take(300).collect::<String>());
            assert_eq!(at, None, "{wrong}");
        }
        elements(&page);
    }
}

/// Names come from suites and URLs: none of them may become markup, in an element or an attribute.
#[test]
fn whatever_things_are_called_they_stay_text() {
    const HOSTILE: &str = "\"><script>alert('&')</script><b x='";
    let mut result = example::result();
    for place in [&mut result.name, &mut result.suite, &mut result.command[0]] {
        *place = HOSTILE.to_owned();
    }
    for target in &mut result.targets {
        target.name.push_str(HOSTILE);
        target.place.push_str(HOSTILE);
        target.durability.push_str(HOSTILE);
    }
    let hostile = || HOSTILE.to_owned();
    for case in &mut result.cases {
        case.name.push_str(HOSTILE);
        for target in &mut case.targets {
            target
                .stages
                .iter_mut()
                .flat_map(|stages| &mut stages.stages)
                .for_each(|stage| stage.name.push_str(HOSTILE));
            target
                .stages
                .iter_mut()
                .flat_map(|stages| &mut stages.replicas)
                .for_each(|replica| replica.zone = hostile());
            target.phase.iter_mut().flat_map(|phase| &mut phase.figures).for_each(|figure| figure.name = hostile());
        }
    }
    let environment = &mut result.environment;
    for place in
        [&mut environment.kernel, &mut environment.processor, &mut environment.governor, &mut environment.disk.model]
    {
        *place = Some(hostile());
    }
    environment.git_revision = hostile();
    environment.doctor[0].severity = hostile();
    let mut prices = Prices::built_in();
    for tier in &mut prices.tiers {
        tier.name.push_str(HOSTILE);
        (tier.note, tier.region, tier.sources[0].url, tier.sources[0].says) =
            (hostile(), hostile(), hostile(), hostile());
    }
    let page = page(&result, &CostReport::of(prices, 24.0));
    let found = elements(&page);
    assert_eq!(found.get("script"), None);
    let plain = elements(&example_page());
    assert_eq!(found.get("b"), plain.get("b"));
    assert_eq!(found.get("svg"), plain.get("svg"));
}

#[test]
fn emulated_is_said_wherever_the_target_is_named() {
    let page = example_page();
    // The suite may name it as it likes; the rest must say what it is.
    let named = page.matches("s3express").count();
    assert!(named >= 6, "{named}");
    assert_eq!(page.matches("s3express (emulated)").count(), named);
}

#[test]
fn a_run_that_lost_a_chunk_says_so_first() {
    assert!(example_page().contains("read back equal: 15000 of them"));
    let mut result = example::result();
    result.cases[1].targets[0].verdict = Verdict { acknowledged: 9, equal: 8, missing: 1, ..Verdict::default() };
    let page = page(&result, &cost());
    let (bad, table) = (page.find("class=\"bad\">offered").expect("said"), page.find("<table>").unwrap());
    assert!(bad < table, "before any figure");
    assert!(!page.contains("Every acknowledged chunk"));
}
