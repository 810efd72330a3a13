#!/usr/bin/env bash
# h5py reads what plumb replay writes, and replay reads what h5py writes. Needs python3 with h5py.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
"$PLUMB" replay --help >/dev/null || exit 77 # WITH_HDF5=0
python3 -c 'import h5py' 2>/dev/null || {
    echo 'skipped: python3 with h5py is not installed'
    exit 77
}
cd "$work" || exit 1
python3 - <<'PYTHON' || failed 'h5py could not write the gradients'
import h5py, numpy
gradients = (numpy.arange(2 * 4 * 3 * 5).reshape(2, 4, 3, 5) % 7 - 3).astype("f4")
with h5py.File("gradients.h5", "w") as file:
    data = file.create_dataset("parameters/weight/gradients", data=gradients)
    data.attrs["samples"] = [1, 1, 2, 4]
    file["parameters/weight/initial_values"] = numpy.ones((3, 5), "f8")
    file.create_dataset("parameters/bias/gradients", data=gradients[:, :, :1],
                        compression="gzip").attrs["samples"] = [1, 1, 2, 4]
PYTHON
ranks 2 replay gradients.h5 --optimizer sgd --learning-rate 0.5 --beta1 0 --out values.h5
expect_code 0 'gradients of h5py'
python3 - <<'PYTHON' || failed 'h5py reads other values'
import h5py, json, numpy
gradients = (numpy.arange(2 * 4 * 3 * 5).reshape(2, 4, 3, 5) % 7 - 3).astype("f8")
mean = numpy.einsum("k,tkij->tij", [0.125, 0.125, 0.25, 0.5], gradients)
with h5py.File("values.h5") as file:
    assert json.loads(file.attrs["options"])["optimizer"] == "sgd"
    values = file["parameters/weight/values"]
    assert values.shape == (2, 3, 5) and values.dtype == numpy.float32
    assert numpy.allclose(values, 1 - 0.5 * numpy.cumsum(mean, axis=0), rtol=1e-6, atol=1e-7)
    assert file["parameters/bias/values"].shape == (2, 1, 5)
PYTHON
finish
