
ú
W¬–©‰ŠœTD:l,Øz'´Ž%jœ\VLj>æûga¼f¾{šxB0á2h‘n­ÖE×EÕ>Ÿb