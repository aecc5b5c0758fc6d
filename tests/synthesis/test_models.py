"""Names of generators, their settings, and bundles of whichever kind."""

from __future__ import annotations

import json

import pytest

from cellixir.exceptions import BundleError, ConfigurationError
from cellixir.synthesis.models import GENERATORS, generator_class, load_generator, make_generator


def test_the_names_are_these():
    assert list(GENERATORS) == ["gaussian", "copula", "vae", "cvae", "gan", "wgan-gp"]


@pytest.mark.parametrize("name", GENERATORS)
def test_a_class_knows_its_name(name):
    assert generator_class(name).name == name
    assert isinstance(make_generator(name, seed=3), generator_class(name))


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ConfigurationError, match=r"no generator 'gausian' \(did you mean 'gaussian'\?\); choose among"):
        make_generator("gausian")
    with pytest.raises(
        ConfigurationError, match=r"no setting 'ranks' \(did you mean 'rank'\?\); it has condition, rank"
    ):
        make_generator("gaussian", ranks=3)


@pytest.mark.parametrize("settings", [{"rank": 0}, {"pooling": 0}, {"seed": -1}, {"condition": ["a", "a"]}])
def test_values_that_cannot_be_are_refused(settings):
    for name in ("gaussian", "copula"):
        with pytest.raises(ConfigurationError):
            make_generator(name, **settings)
    with pytest.raises(ConfigurationError, match="own=1"):
        make_generator("copula", own=1)


def test_one_condition_may_stand_alone():
    assert make_generator("gaussian", condition="batch").condition == ("batch",)


def test_what_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="there is no bundle at"):
        load_generator(tmp_path / "nowhere")
    with pytest.raises(BundleError, match="not a whole bundle"):
        load_generator(tmp_path)
    for text, words in (("{", "not a whole bundle"), ("[1]", "not a whole bundle"), ("{}", "holds a 'None'")):
        (tmp_path / "model.json").write_text(text)
        with pytest.raises(BundleError, match=words):
            load_generator(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"class": "ResponsePredictor"}))
    with pytest.raises(BundleError, match="holds a 'ResponsePredictor', which is no generator; give a bundle"):
        load_generator(tmp_path)
