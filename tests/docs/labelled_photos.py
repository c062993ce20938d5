"""labelled_photos.py FRAMES PHOTOS: pictures of `lisa world --format frames` with what LabelMe would have written beside them."""

import json
import pathlib
import shutil
import sys

frames, photos = map(pathlib.Path, sys.argv[1:])
photos.mkdir()
for file in sorted(frames.glob('*.json')):
    scene = json.loads(file.read_text())
    picture = scene['files']['rgb']
    shapes = []
    for thing in scene['objects']:
        x, y, width, height = thing['roi']
        shapes.append({'label': thing['category'], 'points': [[x, y], [x + width, y + height]], 'group_id': None, 'description': '',
                       'shape_type': 'rectangle', 'flags': {}, 'mask': None})
    size = {'imageHeight': scene['camera']['height'], 'imageWidth': scene['camera']['width']}
    shutil.copy(frames / picture, photos / picture)
    text = {'version': '5.4.1', 'flags': {}, 'shapes': shapes, 'imagePath': picture, 'imageData': None, **size}
    (photos / picture).with_suffix('.json').write_text(json.dumps(text))
