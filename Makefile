# Two commands: `make demo` shows every step from scans to labelled discs, `make test` checks it.
PYTHON ?= python3
ENV := .venv
RUN := $(ENV)/bin/python
DEMO := output/demo
EPOCHS ?= 50
JOINT_EPOCHS ?= 16

.PHONY: install demo test test-browser fuzz soak weights clean

install: $(ENV)/installed

$(ENV)/installed: requirements.txt requirements-dev.txt
	$(PYTHON) -m venv $(ENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

# Phantoms, slices, training, scores, figures and the labels of a scan; at most ten minutes on two cores.
demo: install
	rm -rf dataset/demo $(DEMO)
	$(RUN) make_phantom.py --subjects 60 --out $(DEMO)/phantoms --jobs 2
	$(RUN) prepare_spinegeneric.py --data $(DEMO)/phantoms --out dataset/demo --jobs 2
	$(RUN) train.py --data dataset/demo --out $(DEMO) --features 48 --epochs 30
	$(RUN) evaluate.py --weights $(DEMO)
	$(RUN) predict.py $(DEMO)/phantoms/sub-phantom001/anat/*.nii.gz --weights $(DEMO) --out $(DEMO)/predictions
	@echo "The same test split, by the shipped weights, which were not trained on these subjects:"
	$(RUN) evaluate.py --data dataset/demo --out $(DEMO)/shipped
	$(RUN) evaluate.py --compare $(DEMO) $(DEMO)/shipped
	$(RUN) predict.py $(DEMO)/phantoms/sub-phantom001/anat/*.nii.gz --out $(DEMO)/shipped/predictions
	@echo
	@echo "The demonstration is done. See:"
	@echo "  dataset/demo/preview_test.png    prepared slices with their discs"
	@echo "  $(DEMO)/convergence.gif     heatmaps, epoch after epoch"
	@echo "  $(DEMO)/evaluation/         scores, figures and the QC report (report.html), on the test split"
	@echo "  $(DEMO)/shipped/            the same for the shipped weights"
	@echo "  $(DEMO)/predictions/        labels of a scan, as NIfTI, JSON, CSV and pictures"
	@echo "  $(DEMO)/shipped/predictions/  the same scan, by the shipped weights"

test: install
	$(ENV)/bin/ruff check .
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist loadfile

# The shipped weights. Without DATA: from scratch, on synthetic images alone (about four hours on two cores, and 13 GB of
# memory). With DATA, folders of prepared scans: joint training from there, with synthetic images and scans (about an
# hour). Run it again after an interruption: it resumes.
weights: install
ifdef DATA
	$(RUN) train.py --data $(DATA) --synthetic --lr 3e-4 --out output/joint \
		--epochs $(JOINT_EPOCHS) $(if $(wildcard output/joint/*.pt),--resume,--init weights/synthetic.pt)
	$(RUN) -m weights.publish output/joint/last.pt --out weights/spine.pt
else
	$(RUN) train.py --synthetic 2500 --features 96 --out output/weights --epochs $(EPOCHS) \
		$(if $(wildcard output/weights/*.pt),--resume)
	$(RUN) -m weights.publish output/weights/last.pt --out weights/synthetic.pt
endif

# 2,000 damaged files, where `make test` takes 200.
fuzz: install
	FUZZ_CASES=2000 $(RUN) -m pytest tests/fuzz

# Kills each script at 30 random moments, where `make test` kills it at three.
soak: install
	SOAK_KILLS=30 $(RUN) -m pytest tests/soak

# The QC report in a browser; needs Debian's chromium, and the right to install it.
test-browser: install
	command -v chromium || (apt-get update && apt-get install -y --no-install-recommends chromium)
	$(RUN) -m pip install --quiet --disable-pip-version-check playwright
	$(RUN) -m pytest tests/browser

clean:
	rm -rf $(ENV) dataset/demo $(DEMO)
