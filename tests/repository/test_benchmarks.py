"""What is said to have been measured is what was measured."""

from benchmarks import report, results
from tests.unit.command_line import PROJECT

README = (PROJECT / "README.md").read_text()


def test_page_of_the_results_holds_the_figures_that_were_kept() -> None:
    assert (results.FOLDER / report.FILE).read_text() == report.markdown(results.load())


def test_figures_of_the_readme_are_those_of_the_results() -> None:
    assert report.in_readme(README, results.load()) == README
