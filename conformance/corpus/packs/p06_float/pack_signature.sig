e“­d™(f!ÿÙwiËÀl€J’¶¼Bý”Hÿya›lKøMNÐâp\1Õ.1eW—UVBã
ª±Ð½*þ