# make demo and make test need nothing but Python >= 3.11; both may be repeated at will.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# the suite starts some thousand processes: without bytecode each of them compiles all modules again
unexport PYTHONDONTWRITEBYTECODE
STAMP  := $(VENV)/.installed
PACKAGES := $(wildcard plugins/*/pyproject.toml contrib/*/pyproject.toml benchmarks/pyproject.toml)

.PHONY: demo quick test test-oldest bench speed bench-peers peers docs tamper kills scale render beats game-music more-game-music checkpoints singing trends contrastive clean
.DEFAULT_GOAL := test

$(STAMP): pyproject.toml .ci/constraints.txt $(PACKAGES)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "featx needs Python 3.11 or newer, got " + sys.version.split()[0])'
	@echo "installing featx, its plugins and PyTorch into $(VENV): a few minutes and about 2 GB"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch==2.13.0 -c .ci/constraints.txt
	@echo "PyTorch is installed; installing featx, $(words $(PACKAGES)) packages of this repository and what they need"
	$(BIN)/pip install --quiet -c .ci/constraints.txt -e '.[augment,av,dask,remote,tables,docs,dev]' $(foreach p,$(PACKAGES),-e $(dir $(p)))
	touch $@

demo: $(STAMP)
	$(BIN)/python docs/demo.py demo

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy core/featx $(wildcard plugins/*/src contrib/*/src) benchmarks/src docs/demo.py
	$(BIN)/python -m pytest -n 2 --dist loadgroup --max-worker-restart 0

# linters, types and the part of the suite that needs no run: under 90 seconds on two cores, before every commit
QUICK := annotations commands distributions docs errors guarded imports index index_aspects interfaces neural \
	public_names registry store store_reading training_samplers types
quick: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy core/featx $(wildcard plugins/*/src contrib/*/src) benchmarks/src docs/demo.py
	$(BIN)/python -m pytest -q -n 2 -m "not slow and not data and not install" $(QUICK:%=tests/test_%.py)

# the suite with the oldest versions that are allowed, in an environment of its own; needs Python 3.11
OLDEST := .venv-oldest
test-oldest:
	python3.11 -m venv $(OLDEST)
	$(OLDEST)/bin/pip install --quiet torch==2.13.0 -c .ci/oldest.txt
	$(OLDEST)/bin/pip install --quiet -c .ci/oldest.txt -e '.[augment,av,remote,tables,dev]' $(foreach p,$(PACKAGES),-e $(dir $(p)))
	$(OLDEST)/bin/python -m pytest -n 2 --dist loadgroup --max-worker-restart 0 \
		--deselect tests/test_docs.py::test_documentation_builds_without_a_warning  # no sphinx there

# every installed extractor on every task, and the table in the documentation: about an hour on two idle cores ('make peers' and
# 'make game-music' first, and FEATX_TEST_DATA); a second run takes seconds
BENCH ?= benchmark
bench: $(STAMP)
	mkdir -p $(BENCH)/data
	[ ! -d $(GAME) ] || ln -sfn $(abspath $(GAME)) $(BENCH)/data/game-music
	$(BIN)/featx bench run --all -o $(BENCH)
	$(BIN)/featx bench show -o $(BENCH) --into docs/benchmarks.md

# start-up, front end, files to features, an hour of sound; close other programs first
OUT ?= /tmp/featx-bench
speed: $(STAMP)
	mkdir -p $(OUT)
	-$(BIN)/python benchmarks/startup.py --json $(OUT)/startup.json
	$(BIN)/python benchmarks/speed/frontend.py
	$(BIN)/python benchmarks/speed/end_to_end.py --workers --json $(OUT)/end_to_end.json
	$(BIN)/python benchmarks/speed/hour.py --json $(OUT)/hour.json

# the same features in seven other libraries, which are installed first, and the picture for the docs
bench-peers: $(STAMP)
	mkdir -p $(OUT)
	$(BIN)/pip install --quiet -c .ci/constraints.txt essentia audioflux kaldi-native-fbank nnAudio
	$(BIN)/python benchmarks/speed/peers.py --markdown --json $(OUT)/peers.json
	$(BIN)/python benchmarks/speed/picture.py $(OUT)/peers.json docs/_static/speed.png

# the systems behind the adapters in contrib, and the check of every extractor of theirs: about 20 minutes
PEERS := librosa-onset librosa-beat librosa-chords librosa-key librosa-mfcc opensmile-egemaps opensmile-compare \
	essentia-onset essentia-beat essentia-key essentia-melodia aubio-onset aubio-beat swift-f0
peers: $(STAMP)
	$(BIN)/pip install --quiet -c .ci/constraints.txt -e 'contrib/featx-opensmile[peer]' -e 'contrib/featx-essentia[peer]' \
		-e 'contrib/featx-onnx[peer]' -e 'contrib/featx-aubio[peer]'
	set -e; for name in $(PEERS); do $(BIN)/featx check --timeout 1200 $$name; done
	$(BIN)/featx check --timeout 1200 librosa-pyin --expect 'alignment=clicks have no pitch'
	$(BIN)/featx weights import basic-pitch $(FEATX_TEST_DATA)/weights/basic_pitch/nmp.onnx
	$(BIN)/featx check --timeout 1200 basic-pitch

docs: $(STAMP)
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

# every prefix, 2,000 bit flips and every hostile structure of a shard; the suite runs a small version
tamper: $(STAMP)
	$(BIN)/python tests/tampering.py

# N extractions killed at random moments, resumed and compared (the suite runs nine), and 10 trainings
N ?= 200
kills: $(STAMP)
	$(BIN)/python benchmarks/reliability/kills.py $(N)
	$(BIN)/python benchmarks/reliability/command_kills.py 5
	$(BIN)/python benchmarks/reliability/training_kills.py

# a Dask cluster in network namespaces whose workers, scheduler and client are killed; as root, on Linux
.PHONY: cluster
cluster: $(STAMP)
	$(BIN)/python benchmarks/reliability/cluster.py

# 100,000 tiny tracks: throughput, store, memory of the supervising process
scale: $(STAMP)
	$(BIN)/python benchmarks/scale.py

# core-hours and bytes of a million songs with each extractor, measured with the files of MUSIC
.PHONY: cost
cost: $(STAMP)
	$(BIN)/python benchmarks/cost_model.py $(MUSIC) --extractors mfcc melspectrogram chroma spectral dynamics loudness vqmfcc \
	  contrastive samplecnn artist-joint csn superflux onset-beats beats key chords chord-net salonset singonset yin pyin

# labelled music of virtual artists: 155 artists x 10 songs of 30 s, about 320 MB; needs fluidsynth and
# two sound fonts (apt install fluidsynth fluid-soundfont-gm timgm6mb-soundfont); the suite renders two clips
MIDI ?= $(FEATX_TEST_DATA)/midi/pop909
RENDERED ?= rendered
render: $(STAMP)
	$(BIN)/featx bench render $(RENDERED) --midi $(MIDI) --artists 100 --valid-artists 15 --test-artists 40

# real music under free licences: eleven packages of Debian (870 MB), a manifest with composers, and how well
# features find other music of the same composer, by composers that nothing that ships has learned from
GAME ?= game-music
FEATURES ?= vqmfcc,mfcc.summary,artist-joint,samplecnn
game-music: $(STAMP)
	$(BIN)/python benchmarks/game_music.py $(GAME) --excerpt 60
	$(BIN)/featx run $(GAME)/excerpts.csv -p vqmfcc -p mfcc -p artist-joint -p samplecnn -o $(GAME)/features
	$(BIN)/featx bench retrieval $(GAME)/features -m $(GAME)/excerpts.csv --split test --features $(FEATURES)
	$(BIN)/featx bench retrieval $(GAME)/features -m $(GAME)/excerpts.csv --split test --features $(FEATURES) --exclude album

# the same with 23 more packages (3.3 GB): twice the pieces, three times the composers for tests, some with two albums
# (weights first: featx weights import artist-siamese)
MORE ?= more-game-music
ALIKE ?= contrastive,artist-siamese,vqmfcc,mfcc.summary,artist-joint,csn,artist-siamese+mfcc.summary,vqmfcc+artist-siamese
more-game-music: $(STAMP)
	$(BIN)/python benchmarks/more_game_music.py $(MORE) --excerpt 30
	$(BIN)/featx run $(MORE)/excerpts.csv -p vqmfcc -p mfcc -p artist-joint -p artist-siamese -p contrastive -p csn -o $(MORE)/features
	$(BIN)/featx bench retrieval $(MORE)/features -m $(MORE)/excerpts.csv --split test --cluster artist --features $(ALIKE)
	$(BIN)/featx bench retrieval $(MORE)/features -m $(MORE)/excerpts.csv --exclude album --cluster artist --features $(ALIKE)

# the checkpoints that ship: 2,330 rendered clips, trainings of 25, 66 and 99 minutes on one core (the sound fonts of
# training: apt install fluid-soundfont-gm musescore-general-soundfont-small csound-soundfont), and how good they are
CHECKPOINTS ?= checkpoints
checkpoints: $(STAMP)
	$(BIN)/python benchmarks/checkpoints.py $(CHECKPOINTS) --midi $(MIDI)
	$(BIN)/python benchmarks/transfer.py $(CHECKPOINTS)

# weights of contrastive, artist-joint and, after make checkpoints, the default of samplecnn: 27 packages of Debian (3.5 GB),
# what the teachers give for them, three trainings; about two hours on one core: one until contrastive is trained, of which
# the training itself takes a quarter, and 32 minutes of training for samplecnn (weights first: featx weights import
# artist-siamese and musicnn; sound fonts: fluid-soundfont-gm opl3-soundfont)
CONTRASTIVE ?= contrastive
contrastive: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/contrastive.py $(CONTRASTIVE) --midi $(MIDI) --start $(CHECKPOINTS)/3^9

# the network of singonset, on synthesised singing: half an hour on two cores; then how good it is
SINGING ?= plugins/featx-onset/src/featx_onset/weights
singing: $(STAMP)
	$(BIN)/python benchmarks/singing_weights.py $(SINGING)
	$(BIN)/python benchmarks/singing.py $(FEATX_TEST_DATA)

.PHONY: chords
# the network of chord-net: renders 280 clips of a minute (sound fonts: apt install fluid-soundfont-gm
# musescore-general-soundfont-small csound-soundfont timgm6mb-soundfont), trains for about 25 minutes on one core, then measures
CHORDS ?= chords
chords: $(STAMP)
	$(BIN)/featx bench render $(CHORDS)/rendered --midi $(MIDI) --artists 56 --valid-artists 4 --test-artists 10 \
	    --songs-per-artist 4 --duration 60 --soundfont FluidR3_GM.sf2 --soundfont MuseScore_General_Lite.sf3 \
	    --soundfont sf_GMbank.sf2
	OMP_NUM_THREADS=1 $(BIN)/featx train -p chord-net --method frames -m $(CHORDS)/rendered/manifest.csv \
	    -o $(CHORDS)/checkpoint --threads 1 --set export_dtype=float16
	$(BIN)/python benchmarks/chords.py $(CHORDS)/rendered/manifest.csv --weights $(CHORDS)/checkpoint

.PHONY: csn
# the network of csn and the comparison of its objectives: renders 144 clips of a minute (sound fonts as for
# chords), takes the real music of game-music, trains for a minute or two and compares 17 models in ten
CSN ?= csn
csn: $(STAMP)
	$(BIN)/featx bench render $(CSN)/rendered --midi $(MIDI) --artists 24 --valid-artists 2 --test-artists 10 \
	    --songs-per-artist 4 --duration 60 --soundfont FluidR3_GM.sf2 --soundfont OPL-3_FM_128M.sf2
	$(BIN)/python benchmarks/game_music.py $(GAME) --excerpt 60
	$(BIN)/python benchmarks/csn.py songs $(CSN)/songs.csv $(CSN)/rendered/manifest.csv $(GAME)/excerpts.csv
	$(BIN)/featx run $(CSN)/songs.csv -p melspectrogram --set front_end=fe-csn --features frames -o $(CSN)/store
	$(BIN)/featx run $(CSN)/songs.csv -p vqmfcc -p mfcc -o $(CSN)/store
	$(BIN)/featx train -p csn --method triplets -m $(CSN)/songs.csv --store $(CSN)/store -o $(CSN)/checkpoint --threads 1 \
	    --set backbone=small --set batch_size=24 --set steps=600 --set lr=0.003 --set lr_decay=0.004 --set margin=0.2 \
	    --set schedule=constant --set early_stop=0 --set augment_eq_db=2 --set augment_share=0.3 --set export_dtype=float16
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/csn.py tables $(CSN)/songs.csv $(CSN)/store $(CSN)/figures.json
	$(BIN)/python benchmarks/csn_weights.py $(CSN)/songs.csv $(CSN)/store $(FEATX_TEST_DATA)/music

trends: $(STAMP)
	$(BIN)/python benchmarks/checkpoints.py $(CHECKPOINTS) --midi $(MIDI) mixes solos songs mels
	$(BIN)/python benchmarks/trends.py $(CHECKPOINTS)

# the network of featx-beat (model=tcn, and its part of model=both): music in many metres and grooves, piano performances, real music labelled by
# BeatNet, training, and what it finds in real recordings; an hour on one core (the sound fonts: those of checkpoints,
# and opl3-soundfont)
BEATS ?= beats
beats: $(STAMP)
	$(BIN)/featx bench render $(BEATS)/varied --midi $(MIDI) --artists 72 --valid-artists 6 --test-artists 0 \
	    --songs-per-artist 4 --duration 40 --rhythms varied --seed 21 --soundfont FluidR3_GM.sf2 \
	    --soundfont MuseScore_General_Lite.sf3 --soundfont OPL-3_FM_128M.sf2 --soundfont sf_GMbank.sf2
	$(BIN)/featx bench render $(BEATS)/nodrums --midi $(MIDI) --artists 20 --valid-artists 2 --test-artists 0 \
	    --songs-per-artist 4 --duration 40 --rhythms varied --parts lead,second,comp,bass --seed 22 \
	    --soundfont FluidR3_GM.sf2 --soundfont MuseScore_General_Lite.sf3 --soundfont sf_GMbank.sf2
	$(BIN)/python benchmarks/game_music.py $(GAME) --excerpt 60
	$(BIN)/python benchmarks/beat_songs.py $(BEATS)/songs --midi $(MIDI) --rendered $(BEATS)/varied/manifest.csv \
	    --rendered $(BEATS)/nodrums/manifest.csv --performances 100 --real $(GAME)/excerpts.csv
	$(BIN)/featx run $(BEATS)/songs/songs.csv -p melspectrogram --set front_end=fe-beatthis --set n_mels=81 \
	    --features frames -o $(BEATS)/store
	$(BIN)/featx train -p beats --method beats -m $(BEATS)/songs/songs.csv --store $(BEATS)/store \
	    -o $(BEATS)/checkpoint --threads 1 --set export_dtype=float16
	$(BIN)/python benchmarks/beat_weights.py $(BEATS)/checkpoint
	$(BIN)/python benchmarks/beats.py --tracker beats --tracker beats:model=tcn --tracker beats:model=beatnet --tracker librosa

clean:
	rm -rf $(VENV) $(OLDEST) demo docs/_build
