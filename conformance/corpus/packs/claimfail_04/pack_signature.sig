vv¦xзв„–LЕЫiЄ^ь+0ѓcоX“=­I¬vY8xі¬О)W  qZЉ’Й{ижБx
Ф
ІXТHСм(4E