import pytest

from training.evaluation.transfer_gain import Measure, transfer_gain

TWIN = [(0, 8.0), (50, 6.0), (100, 5.0), (150, 4.5), (200, 4.4)]


def test_it_finds_the_step_at_which_the_transfer_matches_the_twins_best():
    gain = transfer_gain([(0, 5.5), (50, 4.4), (100, 4.2), (150, 4.1), (200, 4.0)], TWIN)
    assert gain["verdict"] == "helped"
    assert (gain["reached_step"], gain["share"]) == (50, 0.25)
    assert gain["difference"] == pytest.approx(-0.4)
    assert gain["transfer"] == {"step": 200, "validation_loss": 4.0}
    assert gain["gains"][:2] == [[0, pytest.approx(2.5)], [50, pytest.approx(1.6)]]


def test_equal_losses_much_sooner_are_help():
    gain = transfer_gain([(0, 5.5), (100, 4.4), (200, 4.39)], TWIN)
    assert (gain["verdict"], gain["share"]) == ("helped", 0.5)


def test_equal_losses_at_the_end_are_the_same():
    gain = transfer_gain([(0, 7.0), (100, 5.0), (200, 4.39)], TWIN)
    assert (gain["verdict"], gain["share"]) == ("same", 1.0)


def test_a_transfer_that_never_gets_there_hurt():
    gain = transfer_gain([(0, 9.0), (200, 4.8)], TWIN)
    assert (gain["verdict"], gain["reached_step"], gain["share"]) == ("hurt", None, None)


def test_only_the_steps_that_both_had_are_compared():
    gain = transfer_gain([(0, 8.0), (100, 5.5), (200, 5.0), (400, 3.0)], TWIN)
    assert gain["budget"] == 200
    assert gain["transfer"]["validation_loss"] == 5.0
    assert gain["verdict"] == "hurt"


def test_a_twin_that_never_improves_has_no_share():
    gain = transfer_gain([(0, 5.0), (10, 4.0)], [(0, 6.0), (10, 7.0)])
    assert (gain["reached_step"], gain["share"], gain["verdict"]) == (0, None, "helped")


def test_lost_points_are_passed_over_and_no_points_are_refused():
    assert transfer_gain([(0, None), (50, 4.0), (200, 4.0)], TWIN)["verdict"] == "helped"
    with pytest.raises(ValueError, match="no best"):
        transfer_gain([(0, None)], TWIN)


KNN = Measure("validation_knn", rising=True)


def test_of_an_accuracy_more_is_better() -> None:
    twin = [(0, 0.60), (50, 0.85), (100, 0.90)]
    gain = transfer_gain([(0, 0.70), (50, 0.91), (100, 0.94)], twin, KNN)
    assert gain["measure"] == "validation_knn"
    assert gain["transfer"] == {"step": 100, "validation_knn": 0.94}
    assert gain["twin"] == {"step": 100, "validation_knn": 0.90}
    assert (gain["reached_step"], gain["share"], gain["verdict"]) == (50, 0.5, "helped")
    assert [round(value, 6) for _step, value in gain["gains"]] == [0.10, 0.06, 0.04]
    assert transfer_gain([(0, 0.5), (100, 0.8)], twin, KNN)["verdict"] == "hurt"


def test_one_image_of_a_hundred_is_no_difference() -> None:
    twin = [(0, 0.60), (100, 0.90)]
    assert transfer_gain([(0, 0.6), (100, 0.905)], twin, KNN)["verdict"] == "same"
    assert transfer_gain([(0, 0.6), (100, 0.895)], twin, KNN)["verdict"] == "same"
    assert transfer_gain([(0, 0.6), (50, 0.9), (100, 0.9)], twin, KNN)["verdict"] == "helped"
