from synthgap.experiments.runs.spec import donor_seed, scale_of


def test_a_donor_never_starts_where_its_student_starts():
    assert [donor_seed((0, 1, 2), seed) for seed in (0, 1, 2)] == [1, 2, 0]


def test_a_sets_name_tells_its_guidance_scale():
    assert scale_of("g7.5") == 7.5
    assert scale_of("g2.0-stylised") == 2.0
    assert scale_of("train") is None
    assert scale_of("train-stylised") is None


def test_whatever_else_a_sets_name_says_is_no_guidance_scale():
    assert scale_of("dit-g2.0-definition-s10-x4") == 2.0
    assert scale_of("g7.5-definition-stylised") == 7.5
    assert scale_of("gan") is None  # samples of someone else's: nothing guided them
    assert scale_of("oracle") is None
